package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// statement is a text to prepare. Its name follows from the text, so that several stores may share a connection. Every
// parameter is cast where it first stands, so that its type can be read from the text.
type statement struct {
	name string
	sql  string
	// paramTypes are the types of the parameters, in order.
	paramTypes func() []string
}

func newStatement(sql string) *statement {
	sum := sha256.Sum256([]byte(sql))
	return &statement{
		name: "ff_" + hex.EncodeToString(sum[:8]), sql: sql,
		paramTypes: sync.OnceValue(func() []string { return castsOf(sql) }),
	}
}

var cast = regexp.MustCompile(`\$(\d+)::([a-z]+(?:\[\])?)`)

// castsOf lists to what type each parameter of a text is cast.
func castsOf(sql string) []string {
	var types []string
	for _, m := range cast.FindAllStringSubmatch(sql, -1) {
		n, _ := strconv.Atoi(m[1])
		for len(types) < n {
			types = append(types, "")
		}
		types[n-1] = m[2]
	}
	return types
}

// param is how a text names its n-th parameter, from 1.
func param(n int) string { return "$" + strconv.Itoa(n) }

var (
	beginStatement    = newStatement(`BEGIN ISOLATION LEVEL READ COMMITTED`)
	snapshotStatement = newStatement(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`)
	commitStatement   = newStatement(`COMMIT`)
	rollbackStatement = newStatement(`ROLLBACK`)

	// The clock of a transaction is the time of its BEGIN, so that all its statements see one.
	clockStatement = newStatement(`SELECT ` + sqlNow)
)

const sqlNow = `floor(extract(epoch FROM now()) * 1000)::bigint`

// setting is a parameter of a server's session.
type setting struct{ name, value string }

// timeouts bound how long a transaction of a store may stand in the way of others, or wait for them.
var timeouts = []setting{
	{"lock_timeout", "10s"},
	{"idle_in_transaction_session_timeout", "60s"},
}

// plannerSettings make every plan a nested loop over indexes. Statements are planned once, without a look at their
// parameters and perhaps while the tables are empty; a plan that scans or hashes a table would be kept for ever.
var plannerSettings = []setting{
	{"plan_cache_mode", "force_generic_plan"},
	{"enable_seqscan", "off"},
	{"enable_bitmapscan", "off"},
	{"enable_hashjoin", "off"},
	{"enable_mergejoin", "off"},
	{"jit", "off"},
}

// poolerSettings are set in every transaction behind a pooler, where connections have no settings of their own.
var poolerSettings = append(slices.Clip(plannerSettings), timeouts...)

// settingsStatement applies plannerSettings to one transaction of a session that is somebody else's.
var (
	settingsStatement = newStatement(settingsText(plannerSettings, setLocally))
	poolerStatement   = newStatement(settingsText(poolerSettings, setLocally))
)

func setLocally(_ int, s setting) string {
	return `set_config('` + s.name + `', '` + s.value + `', true)`
}

// settingsText selects an expression for each setting.
func settingsText(list []setting, expression func(i int, s setting) string) string {
	columns := make([]string, len(list))
	for i, s := range list {
		columns[i] = expression(i, s) + " AS " + s.name
	}
	return `SELECT ` + strings.Join(columns, `, `)
}
