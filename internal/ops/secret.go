package ops

import (
	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// FirstKid names the secret a deployment begins with.
const FirstKid = "k1"

// SeedSecret makes the first signing secret of a deployment, active and without end. If it is there, however it was made,
// it stays. out gets what is stored.
func (r Rules) SeedSecret(secret []byte, out **record.Secret) *Op {
	home := r.home(ff.Partition{Family: ff.FamilyFlow})
	key := record.SecretKey{Home: home, Kid: FirstKid}
	op := &Op{name: "seed secret"}
	op.Partition, op.Reads.Records = home, []record.Key{key}
	op.Decide = func(tx *store.Tx) error {
		tx.Register(&record.Secret{SecretKey: key, Secret: secret, Active: true, RotatedAt: tx.Now()})
		*out = store.Get[*record.Secret](tx, key)
		return nil
	}
	return op
}
