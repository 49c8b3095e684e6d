// Package wire is what client and server of the HTTP API have in common: the JSON form of commands and answers, the form of
// errors, and the table of operations. Both read the same table, and so do the OpenAPI document and the docs, so they cannot
// disagree. It knows neither HTTP servers nor stores.
//
// Every operation of [flowfabric.Service] is one POST below [CallPath], its command and its answer as JSON; see [Ops]. Those a
// worker makes for each execution can be sent many at a time, below [BatchPath]. Beside them stand resources: the same
// operations by the paths people expect; see [Resources].
package wire
