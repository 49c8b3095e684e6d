package sqlstore

import (
	"github.com/flowfabric/flowfabric"
)

// Records of a flow live on one partition, with its members: what a row says of it holds for every id in the row, and the
// columns of those are bare UUIDs.

// uuidKey maps a field that is never NULL, as a part of a key.
func uuidKey[R any, T ~[16]byte](name string, field func(*R) *T) Column[R] {
	return Column[R]{
		Name: name, Kind: UUID,
		Write: func(r *R, w Writer) { w.UUID([16]byte(*field(r))) },
		Read:  func(r *R, v Reader) { *field(r) = T(v.UUID()) },
	}
}

// homeOf is [home] for a record whose key names a member, which is read before it.
func homeOf[R any](field func(*R) *flowfabric.Partition, member func(*R) *flowfabric.ExecutionID) Column[R] {
	c := home(field)
	read := c.Read
	c.Read = func(r *R, v Reader) {
		read(r, v)
		*member(r) = flowfabric.ExecutionIDFrom(field(r).Index, member(r).UUID())
	}
	return c
}

// memberOf maps a member of the flow a record is of. Its column stands behind that of the partition, at.
func memberOf[R any](name string, at func(*R) *flowfabric.Partition, field func(*R) *flowfabric.ExecutionID) Column[R] {
	c := uuidOf(name, field)
	c.Read = func(r *R, v Reader) { *field(r) = flowfabric.ExecutionIDFrom(at(r).Index, v.UUID()) }
	return c
}

// optionalMemberOf is [memberOf] with NULL for none.
func optionalMemberOf[R any](name string, at func(*R) *flowfabric.Partition, field func(*R) *flowfabric.ExecutionID) Column[R] {
	c := memberOf(name, at, field)
	write, read := c.Write, c.Read
	c.Write = func(r *R, w Writer) {
		if field(r).IsZero() {
			w.Null()
		} else {
			write(r, w)
		}
	}
	c.Read = func(r *R, v Reader) {
		if !v.IsNull() {
			read(r, v)
		}
	}
	return c
}
