package sqlstore

import (
	"slices"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// apiKeys is ff_api_key. Its lists are JSON, as those of workers.
var apiKeys = Table[record.APIKey]{Name: "ff_api_key", Keys: 1, Columns: slices.Concat(
	fixed(
		text("key_id", func(k *record.APIKey) *flowfabric.KeyID { return &k.ID }),
		home(func(k *record.APIKey) *flowfabric.Partition { return &k.Home }),
	),
	[]Column[record.APIKey]{
		integer("version", Int64, func(k *record.APIKey) *int64 { return &k.Version }),
		text("name", func(k *record.APIKey) *string { return &k.Name }),
		digest("digest", func(k *record.APIKey) *[]byte { return &k.Digest }),
		jsonList("roles", func(k *record.APIKey) *[]flowfabric.Role { return &k.Roles }),
		jsonList("namespaces", func(k *record.APIKey) *[]flowfabric.Namespace { return &k.Namespaces }),
		jsonList("lanes", func(k *record.APIKey) *[]flowfabric.LaneID { return &k.Lanes }),
		integer("created_at_ms", Int64, func(k *record.APIKey) *flowfabric.Timestamp { return &k.CreatedAt }),
		text("created_by", func(k *record.APIKey) *string { return &k.CreatedBy }),
		optionalInteger("expires_at_ms", Int64, func(k *record.APIKey) *flowfabric.Timestamp { return &k.ExpiresAt }),
		optionalInteger("rotated_at_ms", Int64, func(k *record.APIKey) *flowfabric.Timestamp { return &k.RotatedAt }),
		digest("previous_digest", func(k *record.APIKey) *[]byte { return &k.PreviousDigest }),
		optionalInteger("previous_until_ms", Int64, func(k *record.APIKey) *flowfabric.Timestamp { return &k.PreviousUntil }),
		optionalInteger("revoked_at_ms", Int64, func(k *record.APIKey) *flowfabric.Timestamp { return &k.RevokedAt }),
		text("revoked_by", func(k *record.APIKey) *string { return &k.RevokedBy }),
	},
)}

// jsonList maps texts that may contain commas.
func jsonList[R any, T ~string](name string, field func(*R) *[]T) Column[R] {
	return updatable(jsonColumn(name, field, func(l []T) bool { return len(l) == 0 }), func(a, b *R) bool {
		return !slices.Equal(*field(a), *field(b))
	})
}
