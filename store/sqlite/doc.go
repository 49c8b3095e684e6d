// Package sqlite is the embedded default store: one SQLite file, no server, no cgo.
//
// One connection of the process writes, a few others read. Every batch is one BEGIN IMMEDIATE transaction in WAL mode,
// durable when Apply returns (see [Synchronous]). Other processes may open the same file, a worker and an operator tool
// for example: writers wait for each other up to Config.BusyTimeout.
//
// An application may keep its own tables in the file ([Config].Shared) and submit and complete in its own transactions
// ([SubmitTx], [CompleteTx]).
//
// Tables and columns are those of internal/sqlstore; the statements are generated from them.
package sqlite
