// Command flowfabric demonstrates and measures the engine and looks after its databases.
//
//	flowfabric demo [DIR]    count the files below a folder with several worker processes, and kill one of them
//	flowfabric bench         measure the engine on a store
//	flowfabric migrate       bring a database's schema up to date
//	flowfabric version       print versions
//
// Results go to the standard output, everything else to the standard error. The exit status is
//
//	0  success
//	1  failure
//	2  usage: a flag, an argument or a URL that is no good
//	3  the check failed: the demonstration found an execution wrong, or a server to measure is not durable
package main
