// Package postgres keeps the engine's records in PostgreSQL 15 or newer, for any number of engine nodes on one database.
//
// [Migrate] makes the schema, [Open] or [FromPool] a store on it. A batch costs two round trips whatever its size: begin,
// clock and reads; then writes and commit. One that reads nothing costs a single one. Writes are set-based, one statement
// a table, READ COMMITTED, and guarded by the version of each execution; nothing but the entries of the two queues is
// ever locked before it is written.
//
// Statements are prepared once a connection, so connections must be to the server itself or to a pooler in session mode.
package postgres
