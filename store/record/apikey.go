package record

import "github.com/flowfabric/flowfabric"

// APIKeyKey names an API key.
type APIKeyKey struct {
	Home flowfabric.Partition
	ID   flowfabric.KeyID
}

// Family implements [Key].
func (APIKeyKey) Family() Family { return APIKeys }

// Partition implements [Key].
func (k APIKeyKey) Partition() flowfabric.Partition { return k.Home }

// Parts implements [Key].
func (k APIKeyKey) Parts() []string { return []string{string(k.ID)} }

// APIKey is what a caller presents (ff_api_key). Its secret is not kept, only the digest of it, and for a while that of the
// secret before the last rotation.
type APIKey struct {
	APIKeyKey
	Version        int64
	Name           string
	Digest         []byte
	Roles          []flowfabric.Role
	Namespaces     []flowfabric.Namespace // none for all, and so with Lanes
	Lanes          []flowfabric.LaneID
	CreatedAt      flowfabric.Timestamp
	CreatedBy      string
	ExpiresAt      flowfabric.Timestamp // 0 for never
	RotatedAt      flowfabric.Timestamp
	PreviousDigest []byte
	PreviousUntil  flowfabric.Timestamp
	RevokedAt      flowfabric.Timestamp
	RevokedBy      string
}

// Key implements [Keyed].
func (k *APIKey) Key() Key { return k.APIKeyKey }

// VersionField implements [Keyed].
func (k *APIKey) VersionField() *int64 { return &k.Version }

// DueTime implements [Keyed]: a key that is good no longer is found out at its use, and removed when another is made.
func (k *APIKey) DueTime() flowfabric.Timestamp { return 0 }
