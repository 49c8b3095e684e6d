// Package postgres keeps the engine's records in PostgreSQL 15 or newer, for any number of engine nodes on one database.
//
// [Migrate] makes the schema, [Open] or [FromPool] a store on it. A batch costs two round trips whatever its size: begin,
// clock and reads; then writes and commit. One that reads nothing costs a single one. Writes are set-based, one statement
// a table, READ COMMITTED, and guarded by the version of each execution; nothing but the entries of the two queues is
// ever locked before it is written.
//
// Statements are prepared once a connection. Behind a pooler in transaction mode, which is noticed or named (see [Open]),
// they are sent with their text each time, no session keeps anything, and other processes are noticed by polling.
//
// [SubmitTx] and [CompleteTx], or [SubmitSQLTx] and [CompleteSQLTx] for database/sql, act in a transaction of the caller:
// the caller's own rows and what they write are committed together.
package postgres
