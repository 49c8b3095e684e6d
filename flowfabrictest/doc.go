// Package flowfabrictest tests handlers: an engine in memory, a worker that can be made to crash, and time that is turned
// by the test, so that a handler that waits three days for a person is tested in a millisecond.
//
//	flowfabrictest.Run(t, func(t *testing.T, env *flowfabrictest.Env) {
//		flowfabrictest.Handle(env, "deploy", deploy)
//		id := env.Submit("deploy", Request{Version: "1.2.3"})
//		env.Signal(id, "legal", "approved", Decision{By: "ann"})
//		env.Advance(time.Hour)
//		var out Receipt
//		env.Result(id, &out)
//	})
//
// It stands on [testing/synctest]: the test runs in a bubble in which time stands still while anything runs, so nothing
// depends on the speed of the machine. What a handler calls inside the bubble must not block on anything outside of it, such
// as the network; give it fakes.
//
// [ReplayAllCrashPoints] runs a handler once for each of its steps, with a crash behind it, and once with a crash before its
// memo was written, and wants the same outcome every time.
package flowfabrictest
