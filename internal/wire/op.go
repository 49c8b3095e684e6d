package wire

import (
	"context"
	"reflect"

	"github.com/flowfabric/flowfabric"
)

// Paths of operations.
const (
	CallPath  = "/v1/calls/"  // with the name of an operation: one command, one answer
	BatchPath = "/v1/leases/" // with the verb of an operation of a worker: many commands, as many answers
)

// MaxBatch bounds the items of one batch.
const MaxBatch = 1000

// Role is what a caller must be allowed to be.
type Role = flowfabric.Role

// Roles.
const (
	Viewer    = flowfabric.RoleViewer
	Submitter = flowfabric.RoleSubmitter
	Worker    = flowfabric.RoleWorker
	Operator  = flowfabric.RoleOperator
	Admin     = flowfabric.RoleAdmin
	// Bearer is of operations for anyone: the command carries an authority of its own.
	Bearer Role = ""
)

// Class is which bound on concurrent requests an operation counts towards.
type Class string

// Classes.
const (
	Reads  Class = "reads"
	Writes Class = "writes"
	Waits  Class = "waits" // may wait as long as the command says
)

// Op is an operation of the service.
type Op struct {
	Name    string // snake_case, unique: the last segment of its path
	Summary string // one line for people
	Tag     string // what it is about, for documents
	Role    Role
	Class   Class
	// Repeatable says that a client may send the command again when it does not know what became of it.
	Repeatable bool
	Batch      string       // verb below [BatchPath]; empty for what is not batched
	In, Out    reflect.Type // of command and answer

	invoke func(svc flowfabric.Service, ctx context.Context, in any) (any, error)
}

// New returns a pointer to an empty command.
func (o *Op) New() any { return reflect.New(o.In).Interface() }

// Invoke makes the call. in is a pointer as [Op.New] returns it.
func (o *Op) Invoke(ctx context.Context, svc flowfabric.Service, in any) (any, error) {
	return o.invoke(svc, ctx, in)
}

// Call is an [Op] whose command and answer are typed, for clients.
type Call[In, Out any] struct{ *Op }

// Ops are all operations, by name.
var Ops = map[string]*Op{}

func define[In, Out any](name string, role Role, class Class, do func(flowfabric.Service, context.Context, In) (Out, error), options ...func(*Op)) Call[In, Out] {
	text := summaries[name]
	op := &Op{
		Name: name, Summary: text.summary, Tag: text.tag, Role: role, Class: class, Repeatable: class != Writes,
		In: reflect.TypeFor[In](), Out: reflect.TypeFor[Out](),
		invoke: func(svc flowfabric.Service, ctx context.Context, in any) (any, error) {
			return do(svc, ctx, *in.(*In))
		},
	}
	for _, option := range options {
		option(op)
	}
	if Ops[name] != nil {
		panic("operation " + name + " is defined twice")
	}
	Ops[name] = op
	return Call[In, Out]{op}
}

// repeatable: a repeat finds what the first call did, by ids of the command, a fence or its outcome.
func repeatable(o *Op) { o.Repeatable = true }

// batched gives an operation a verb below [BatchPath].
func batched(verb string) func(*Op) {
	return func(o *Op) { o.Batch = verb }
}

// Nothing is an answer that says no more than that the call succeeded.
type Nothing struct{}

// none is a method that answers nothing but an error.
func none[In any](do func(flowfabric.Service, context.Context, In) error) func(flowfabric.Service, context.Context, In) (Nothing, error) {
	return func(svc flowfabric.Service, ctx context.Context, in In) (Nothing, error) {
		return Nothing{}, do(svc, ctx, in)
	}
}

// Batch is a request below [BatchPath].
type Batch[T any] struct {
	Items []T `json:"items"`
}

// BatchResult answers one item: Error, or else Value.
type BatchResult[T any] struct {
	Value T          `json:"value,omitzero"`
	Error *ErrorBody `json:"error,omitzero"`
}

// BatchResults answers a [Batch], in its order.
type BatchResults[T any] struct {
	Results []BatchResult[T] `json:"results"`
}
