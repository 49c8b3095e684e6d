package flowfabric

import (
	"bytes"
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// UUID is an identifier of the entity K names. Its text form is 36 characters, hyphenated, lower case. It is
// comparable; the zero value means "unset".
type UUID[K any] uuid.UUID

type (
	flowKind    struct{}
	leaseKind   struct{}
	attemptKind struct{}
)

// Identifiers of the engine's entities.
type (
	// FlowID identifies a flow.
	FlowID = UUID[flowKind]
	// LeaseID identifies one acquisition of an execution by a worker; it is new on every acquisition (F3).
	LeaseID = UUID[leaseKind]
	// AttemptID identifies one attempt of an execution.
	AttemptID = UUID[attemptKind]
)

func newUUID[K any]() UUID[K] { return UUID[K](uuid.New()) }

// NewFlowID mints a random flow id.
func NewFlowID() FlowID { return newUUID[flowKind]() }

// NewLeaseID mints a random lease id.
func NewLeaseID() LeaseID { return newUUID[leaseKind]() }

// NewAttemptID mints a random attempt id.
func NewAttemptID() AttemptID { return newUUID[attemptKind]() }

// ParseUUID reads the 36-character hyphenated form in either case. Other spellings of a UUID are refused, so that one
// UUID has one text. It fails with [ErrInvalidInput].
func ParseUUID[K any](s string) (UUID[K], error) {
	u, err := parseUUID(s)
	if err != nil {
		return UUID[K]{}, &Error{Code: CodeInvalidInput, Op: "parse uuid", Detail: fmt.Sprintf("%q is not a hyphenated UUID of 36 characters", clip(s))}
	}
	return UUID[K](u), nil
}

// String returns the hyphenated lower-case form.
func (id UUID[K]) String() string { return uuid.UUID(id).String() }

// IsZero reports whether the id is unset.
func (id UUID[K]) IsZero() bool { return id == UUID[K]{} }

// MarshalText implements [encoding.TextMarshaler].
func (id UUID[K]) MarshalText() ([]byte, error) { return uuid.UUID(id).MarshalText() }

// UnmarshalText implements [encoding.TextUnmarshaler] with the rules of [ParseUUID].
func (id *UUID[K]) UnmarshalText(text []byte) error {
	u, err := ParseUUID[K](string(text))
	if err != nil {
		return err
	}
	*id = u
	return nil
}

// parseUUID is uuid.Parse without the spellings that would give one UUID several texts.
func parseUUID(s string) (uuid.UUID, error) {
	if len(s) != 36 {
		return uuid.UUID{}, errNotHyphenated
	}
	return uuid.Parse(s)
}

var errNotHyphenated = fmt.Errorf("not the 36-character hyphenated form")

// ExecutionID names an execution and the partition that owns it. Its text form is "{fp:N}:<uuid>", the braces literal
// (chapter 10, section 1.2). The partition is part of the id and is never recomputed. ExecutionID is comparable; the
// zero value means "unset".
type ExecutionID struct {
	partition uint16
	id        uuid.UUID
}

// ErrorReason says which part of a text id was wrong.
type ErrorReason string

// Reasons for which [ParseExecutionID] refuses a text.
const (
	ReasonMissingTag            ErrorReason = "missing_tag"
	ReasonInvalidPartitionIndex ErrorReason = "invalid_partition_index"
	ReasonInvalidUUID           ErrorReason = "invalid_uuid"
)

// ParseExecutionID reads the text form. The UUID may be of any version, the nil UUID included, in either case; only the
// hyphenated spelling is accepted. Whether the partition exists under the live configuration is checked where an id
// enters the engine, not here. A refusal matches [ErrInvalidInput] and carries an [ErrorReason] in Attrs["reason"].
func ParseExecutionID(s string) (ExecutionID, error) {
	refuse := func(reason ErrorReason, detail string) (ExecutionID, error) {
		return ExecutionID{}, &Error{
			Code: CodeInvalidInput, Op: "parse execution id", Detail: fmt.Sprintf("%q: %s", clip(s), detail),
			Attrs: map[string]string{"reason": string(reason)},
		}
	}
	rest, ok := strings.CutPrefix(s, "{fp:")
	if !ok {
		return refuse(ReasonMissingTag, `want "{fp:N}:<uuid>"`)
	}
	index, text, ok := strings.Cut(rest, "}:")
	if !ok {
		return refuse(ReasonMissingTag, `want "{fp:N}:<uuid>"`)
	}
	n, err := parseIndex(index)
	if err != nil {
		return refuse(ReasonInvalidPartitionIndex, "the partition is not a number from 0 to 65535")
	}
	u, err := parseUUID(text)
	if err != nil {
		return refuse(ReasonInvalidUUID, "the part after the tag is not a hyphenated UUID")
	}
	return ExecutionID{partition: n, id: u}, nil
}

// SoloExecutionID mints an id for an execution outside any flow; all solo work of a lane shares the lane's partition.
// The UUID is of version 7, so that ids of one process sort by time of minting.
func SoloExecutionID(lane LaneID, cfg PartitionConfig) ExecutionID {
	return SoloExecutionIDWith(lane, cfg, uuid.Must(uuid.NewV7()))
}

// SoloExecutionIDWith is [SoloExecutionID] with the caller's UUID, for ids that are derived from something.
func SoloExecutionIDWith(lane LaneID, cfg PartitionConfig, id uuid.UUID) ExecutionID {
	return ExecutionID{partition: cfg.OfLane(lane).Index, id: id}
}

// FlowExecutionID mints an id for a member of a flow; it lives on the flow's partition.
func FlowExecutionID(flow FlowID, cfg PartitionConfig) ExecutionID {
	return FlowExecutionIDWith(flow, cfg, uuid.Must(uuid.NewV7()))
}

// FlowExecutionIDWith is [FlowExecutionID] with the caller's UUID.
func FlowExecutionIDWith(flow FlowID, cfg PartitionConfig, id uuid.UUID) ExecutionID {
	return ExecutionID{partition: cfg.OfFlow(flow).Index, id: id}
}

// ExecutionIDFrom puts an id together from its stored parts: the partition index and the bare UUID.
func ExecutionIDFrom(partition uint16, id uuid.UUID) ExecutionID {
	return ExecutionID{partition: partition, id: id}
}

// Partition returns the partition that owns the execution and all its records.
func (id ExecutionID) Partition() Partition {
	return Partition{Family: FamilyFlow, Index: id.partition}
}

// UUID returns the bare UUID, the part behind the tag.
func (id ExecutionID) UUID() uuid.UUID { return id.id }

// Compare orders ids by UUID bytes, then by partition.
func (id ExecutionID) Compare(other ExecutionID) int {
	return cmp.Or(bytes.Compare(id.id[:], other.id[:]), cmp.Compare(id.partition, other.partition))
}

// IsZero reports whether the id is unset. The nil UUID on partition 0 is indistinguishable from an unset id.
func (id ExecutionID) IsZero() bool { return id == ExecutionID{} }

// String returns the text form.
func (id ExecutionID) String() string {
	b := make([]byte, 0, 48)
	b = append(b, "{fp:"...)
	b = strconv.AppendUint(b, uint64(id.partition), 10)
	b = append(b, "}:"...)
	text, _ := id.id.MarshalText() // never fails
	return string(append(b, text...))
}

// MarshalText implements [encoding.TextMarshaler].
func (id ExecutionID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler] with the rules of [ParseExecutionID].
func (id *ExecutionID) UnmarshalText(text []byte) error {
	parsed, err := ParseExecutionID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// LaneID names a queue of executions: 1 to 64 bytes, each from 0x20 to 0x7E. Lanes order by bytes.
type LaneID string

// MaxLaneIDBytes bounds a [LaneID].
const MaxLaneIDBytes = 64

// Validate checks the rules of a lane id. It fails with [ErrInvalidInput].
func (l LaneID) Validate() error {
	switch {
	case l == "":
		return invalid("lane_id", "is empty")
	case len(l) > MaxLaneIDBytes:
		return invalid("lane_id", fmt.Sprintf("has %d bytes; at most %d are allowed", len(l), MaxLaneIDBytes))
	}
	for i := range len(l) {
		if l[i] < 0x20 || l[i] > 0x7e {
			return invalid("lane_id", fmt.Sprintf("byte %d is not printable ASCII", i))
		}
	}
	return nil
}

// WorkerID is the logical identity of a worker, stable over restarts: 1 to 256 bytes of UTF-8 without white space or
// control characters.
type WorkerID string

// WorkerInstanceID is one process or boot of a worker, under the rules of [WorkerID].
type WorkerInstanceID string

// Namespace is a tenant scope, under the rules of [WorkerID].
type Namespace string

// DefaultNamespace is used where a command names no namespace.
const DefaultNamespace Namespace = "default"

// MaxNameBytes bounds worker ids, worker instance ids, namespaces, kinds, creators and idempotency keys.
const MaxNameBytes = 256

// Validate checks the rules of a worker id. It fails with [ErrInvalidInput].
func (w WorkerID) Validate() error { return validateName("worker_id", string(w)) }

// Validate checks the rules of a worker instance id. It fails with [ErrInvalidInput].
func (w WorkerInstanceID) Validate() error { return validateName("worker_instance_id", string(w)) }

// Validate checks the rules of a namespace. It fails with [ErrInvalidInput].
func (n Namespace) Validate() error { return validateName("namespace", string(n)) }
