package servicetest

import (
	"context"
	"sync"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// fewPartitions are the counts the concern's own engine is opened with.
var fewPartitions = ff.PartitionConfig{Flow: 4, Budget: 2, Quota: 3}

var partitionTests = []behaviour{
	{"AreThoseOfTheFirstEngine", testPartitionsKept},
	{"OthersAreRefused", testPartitionsRefused},
	{"OfAStoreWithoutThemAreTheNextEngines", testPartitionsAdopted},
	{"OfEnginesThatOpenAtOnceAreOne", testPartitionsRaced},
}

func (e *env) partitions() ff.PartitionConfig {
	e.Helper()
	counts, err := engine.Partitions(e.Context(), e.store)
	e.ok(err)
	return counts
}

// opens opens an engine and closes it at once.
func (e *env) opens(counts ff.PartitionConfig) error {
	eng, err := engine.Open(e.Context(), e.store, engine.Config{Clock: e.pace, Partitions: counts})
	if err == nil {
		err = eng.Close(context.WithoutCancel(e.Context()))
	}
	return err
}

// forgetPartitions makes the store one of a release that did not keep the counts.
func (e *env) forgetPartitions() {
	e.Helper()
	key := record.PartitionCountsKey{Home: e.store.Shards()[0]}
	u := &store.Unit{Partition: key.Home, Reads: store.Reads{Records: []record.Key{key}}, Decide: func(tx *store.Tx) error {
		if tx.Record(key) != nil {
			tx.Delete(key)
		}
		return nil
	}}
	e.ok(e.store.Apply(e.Context(), []*store.Unit{u}))
	e.ok(u.Err)
}

func testPartitionsKept(e *env) {
	e.equal("kept", e.partitions(), fewPartitions)
	e.ok(e.opens(fewPartitions))
	e.ok(e.opens(ff.PartitionConfig{})) // which asks for none: it takes those
	e.equal("kept", e.partitions(), fewPartitions)
	other := e.engine()
	res, err := other.Submit(e.Context(), ff.Submit{Lane: "mail", Kind: "test"})
	e.ok(err)
	// CRC-16/XMODEM of "mail" is 0xd097.
	e.equal("where an execution is placed", res.ID.Partition(), ff.Partition{Family: ff.FamilyFlow, Index: 3})
}

func testPartitionsRefused(e *env) {
	for _, counts := range []ff.PartitionConfig{
		{Flow: 5, Budget: 2, Quota: 3}, {Flow: 4, Budget: 1, Quota: 3}, {Flow: 4, Budget: 2, Quota: 65535}, ff.DefaultPartitions(),
	} {
		e.refused("opened with others", e.opens(counts), ff.CodePartitionMismatch)
	}
	e.refused("opened with a family of none", e.opens(ff.PartitionConfig{Flow: 4, Budget: 2}), ff.CodeInvalidInput)
	e.equal("kept", e.partitions(), fewPartitions)
}

func testPartitionsAdopted(e *env) {
	e.forgetPartitions()
	e.equal("kept", e.partitions(), ff.PartitionConfig{})
	e.ok(e.opens(ff.PartitionConfig{})) // asks for none, where there are none
	e.equal("kept", e.partitions(), ff.DefaultPartitions())
	e.forgetPartitions()
	e.ok(e.opens(fewPartitions))
	e.equal("kept", e.partitions(), fewPartitions)
	e.refused("opened with others", e.opens(ff.DefaultPartitions()), ff.CodePartitionMismatch)
}

func testPartitionsRaced(e *env) {
	e.forgetPartitions()
	const many = 8
	errs := make([]error, many)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = e.opens(ff.PartitionConfig{Flow: uint16(10 + i), Budget: 1, Quota: 1}) })
	}
	wg.Wait()
	kept := e.partitions()
	for i, err := range errs {
		if uint16(10+i) == kept.Flow {
			e.ok(err)
			continue
		}
		e.refused("opened with others", err, ff.CodePartitionMismatch)
	}
	if kept.Flow < 10 || kept.Flow >= 10+many {
		e.Errorf("%d partitions are kept, which nobody asked for", kept.Flow)
	}
	e.forgetPartitions()
	e.ok(e.opens(fewPartitions))
}
