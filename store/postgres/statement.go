package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// statement is a text to prepare. Its name follows from the text, so that several stores may share a connection.
type statement struct {
	name string
	sql  string
}

func newStatement(sql string) *statement {
	sum := sha256.Sum256([]byte(sql))
	return &statement{name: "ff_" + hex.EncodeToString(sum[:8]), sql: sql}
}

var (
	beginStatement    = newStatement(`BEGIN ISOLATION LEVEL READ COMMITTED`)
	snapshotStatement = newStatement(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`)
	commitStatement   = newStatement(`COMMIT`)
	rollbackStatement = newStatement(`ROLLBACK`)

	// The clock of a transaction is the time of its BEGIN, so that all its statements see one.
	clockStatement = newStatement(`SELECT ` + sqlNow)
)

const sqlNow = `floor(extract(epoch FROM now()) * 1000)::bigint`

// plannerSettings make every plan a nested loop over indexes. Statements are planned once, without a look at their
// parameters and perhaps while the tables are empty; a plan that scans or hashes a table would be kept for ever.
var plannerSettings = []struct{ name, value string }{
	{"plan_cache_mode", "force_generic_plan"},
	{"enable_seqscan", "off"},
	{"enable_bitmapscan", "off"},
	{"enable_hashjoin", "off"},
	{"enable_mergejoin", "off"},
	{"jit", "off"},
}

// settingsStatement applies plannerSettings to one transaction of a session that is somebody else's.
var settingsStatement = newStatement(func() string {
	var sql strings.Builder
	sql.WriteString(`SELECT `)
	for i, s := range plannerSettings {
		if i > 0 {
			sql.WriteString(`, `)
		}
		sql.WriteString(`set_config('` + s.name + `', '` + s.value + `', true)`)
	}
	return sql.String()
}())
