// Command flowfabric is the engine on the command line: a server, what operators need, and tools.
//
//	flowfabric dev           serve the HTTP API on this machine, to try things out
//	flowfabric serve         serve the HTTP API, as configured by the environment
//	flowfabric migrate       bring a database's schema up to date
//	flowfabric doctor        check that a server or a store is well
//
//	flowfabric submit        submit an execution; get, list, watch, result, logs, tail and explain look at it
//	flowfabric cancel        end it; replay, priority, revoke, block, unblock, resume and signal act on it
//	flowfabric flow          the same for flows; and lane, budget, quota, worker, events, secrets
//
//	flowfabric demo [DIR]    count the files below a folder with several worker processes, and kill one of them
//	flowfabric bench         measure the engine on a store
//
// docs/cli.md has all commands with their flags; testdata/script shows them at work. Commands for operators go to a server,
// or open a store themselves: to both they speak as to a flowfabric.Service.
//
// Results go to the standard output, everything else to the standard error. With --json results have the form of the HTTP
// API. The exit status is
//
//	0    success
//	1    failure; also of an execution whose result is asked for, and of a check of demo, bench or doctor
//	2    bad usage: a flag, an argument, a URL or input that is no good
//	3    there is no such execution, flow, budget, quota, waitpoint or key
//	4    conflict with the present state, which allows it not or not any more
//	5    unavailable for now: nothing answers, or there is too much to do; it may be tried again
//	130  ended by a second signal
package main
