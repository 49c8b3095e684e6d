package postgres

import (
	"fmt"
	"strings"
	"time"

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
		"take ready, stretches": takeReadyOfStretches.sql,
		"peek ready, one route": peekReadyOfRoute.sql,
		"peek ready, routes":    peekReadyOfRoutes.sql,
		"take due":              takeDue.sql,
		"peek due":              peekDue.sql,
		"routes ready":          routesReady.sql,
		"slots of lanes":        slotsOfLanes.sql,
		"list":                  listAll.page.sql,
		"list, last":            listAll.last.sql,
		"list lane":             listOfLane.page.sql,
		"list lane, last":       listOfLane.last.sql,
		"list partition":        listOfPartition.sql,
		"leases":                leasesStatement.sql,
		"count ready":           countReady.sql,
		"count due":             countDue.sql,
		"count expired":         countExpired.sql,
		"oldest ready":          oldestReady.sql,
		"trim executions":       trimExecutions.sql,
		"trim keys":             trimKeys.sql,
		"trim events":           trimEvents.sql,
		"trim routes":           trimRoutes.sql,
		"scanned events":        scannedEvents.sql,
		"read events":           readEvents.sql,
		"gone events":           goneEvents.sql,
		"frames":                framesOf.sql,
		"trim frames":           trimFrames.sql,
		"trim expired frames":   trimExpiredFrames.sql,
		"edges from":            edgesFrom.sql,
		"edges to":              edgesTo.sql,
		"members of flows":      membersOf.sql,
	}
	for _, f := range families {
		texts[string(f.name)+" by key"] = f.byKey.sql
		if f.hold != nil {
			texts[string(f.name)+" by key, hold"] = f.hold.sql
		}
		if f.take != nil {
			texts[string(f.name)+" due, take"], texts[string(f.name)+" due, peek"] = f.take.sql, f.peek.sql
		}
		for prefix, st := range f.list {
			texts[fmt.Sprintf("list %ss, prefix %d", f.name, prefix)] = st.sql
		}
		addShapes(texts, &f.table.Table, insert, ensure, update, erase, check)
	}
	addShapes(texts, &sqlstore.Retain, insert, ensure, remove)
	addShapes(texts, &sqlstore.Slots, insert, ensure, remove)
	addShapes(texts, &expiredLeases, insert, ensure, remove)
	addShapes(texts, &sqlstore.Executions, insert, update)
	addShapes(texts, &sqlstore.Attempts, insert, replace)
	addShapes(texts, &sqlstore.Idempotency, insert, update)
	addShapes(texts, &sqlstore.Routes, ensure)
	addShapes(texts, &sqlstore.Ready, insert, ensure, remove)
	addShapes(texts, &sqlstore.Due, insert, ensure, remove)
	addShapes(texts, &sqlstore.Events, insert)
	addShapes(texts, &sqlstore.Frames, insert)
	return texts
}

// CountMembersText is the one statement that means to read many rows: all members of a flow.
func CountMembersText() string { return countMembers.sql }

func addShapes[R any](texts map[string]string, t *sqlstore.Table[R], verbs ...verb) {
	names := map[verb]string{insert: "insert", ensure: "ensure", replace: "replace", update: "update", remove: "remove", erase: "erase", check: "check"}
	for _, v := range verbs {
		set := fallback(v, t)
		uniform := set
		for i, c := range t.Columns {
			isID := strings.HasSuffix(c.Name, "_id") && c.Kind == sqlstore.UUID || c.Name == "idempotency_key"
			if isID || v.guarded() && i < t.Keys {
				uniform.Remove(i)
			}
		}
		for rows, sh := range map[string]shape{
			"one row":   {v, t.Name, set, set},
			"few rows":  {v, t.Name, set, sqlstore.ColumnSet{}},
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
		st.shapes.byWhat[shape{set: sqlstore.ColumnSet{uint64(i)}}] = nil
	}
}

// ForceFloors turns a store's floors on, with none that is too young to rise.
func ForceFloors(st *Store) {
	st.floors.age = -24 * 365 * 100 * time.Hour
	st.floors.set(true)
}
