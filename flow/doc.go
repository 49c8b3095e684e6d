// Package flow builds graphs of executions to be submitted as a whole:
//
//	f := flow.New("nightly", flow.Lane("etl")).
//		Node("extract", Source{URL: url}).
//		Node("clean", nil, flow.After("extract")).
//		Node("publish", nil, flow.After("clean"), flow.AnyOf("approve", "timeout")).
//		Node("approve", nil).
//		Node("timeout", nil, flow.Delay(time.Hour))
//	id, err := eng.SubmitFlow(ctx, f)
//
// A node runs once what it depends on has ended well; the name of a node is also the kind its handler is registered under,
// unless [Kind] says otherwise. Handlers read what other nodes made with worker.Output.
package flow
