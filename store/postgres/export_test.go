package postgres

import (
	"fmt"
	"strings"

	"github.com/flowfabric/flowfabric/internal/sqlstore"
)

// StatementTexts returns the statements that touch tables, by what they do: the fixed ones, and every verb on every table
// it is used on, in the shapes of one row, of a few, and of many that share all but their keys.
func StatementTexts() map[string]string {
	texts := map[string]string{
		"executions by key":     executionsByKey.sql,
		"attempts by key":       attemptsByKey.sql,
		"attempts of execution": attemptsOfExecution.sql,
		"idempotency by key":    idempotencyByKey.sql,
		"routes of lanes":       routesOfLanes.sql,
		"earliest due":          earliestDue.sql,
		"take ready, one route": takeReadyOfRoute.sql,
		"take ready, routes":    takeReadyOfRoutes.sql,
		"peek ready, one route": peekReadyOfRoute.sql,
		"peek ready, routes":    peekReadyOfRoutes.sql,
		"take due":              takeDue.sql,
		"peek due":              peekDue.sql,
	}
	addShapes(texts, &sqlstore.Executions, insert, update)
	addShapes(texts, &sqlstore.Attempts, insert, replace)
	addShapes(texts, &sqlstore.Idempotency, insert, update)
	addShapes(texts, &sqlstore.Routes, ensure)
	addShapes(texts, &sqlstore.Ready, insert, ensure, remove)
	addShapes(texts, &sqlstore.Due, insert, ensure, remove)
	addShapes(texts, &sqlstore.Events, insert)
	return texts
}

func addShapes[R any](texts map[string]string, t *sqlstore.Table[R], verbs ...verb) {
	names := map[verb]string{insert: "insert", ensure: "ensure", replace: "replace", update: "update", remove: "remove"}
	for _, v := range verbs {
		set := fallback(v, t)
		id := sqlstore.ColumnSet(0)
		for i, c := range t.Columns {
			if strings.HasSuffix(c.Name, "_id") && c.Kind == sqlstore.UUID || c.Name == "idempotency_key" {
				id |= 1 << i
			}
		}
		uniform := set &^ id
		if v == update {
			uniform &^= 1<<t.Keys - 1
		}
		for rows, sh := range map[string]shape{
			"one row":   {v, t.Name, set, set},
			"few rows":  {v, t.Name, set, 0},
			"many rows": {v, t.Name, set, uniform},
		} {
			texts[fmt.Sprintf("%s %s, %s", names[v], t.Name, rows)] = textOf(t, sh)
		}
	}
}

// PlannerSettings are the settings under which the statements are planned.
func PlannerSettings() map[string]string {
	m := map[string]string{}
	tune(m)
	return m
}

// UseUpShapes leaves no room for further statements of a special shape.
func UseUpShapes(st *Store) {
	st.shapes.mu.Lock()
	defer st.shapes.mu.Unlock()
	st.shapes.byWhat = make(map[shape]*statement)
	for i := range maxShapes {
		st.shapes.byWhat[shape{set: sqlstore.ColumnSet(i)}] = nil
	}
}
