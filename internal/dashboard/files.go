package dashboard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/flowfabric/flowfabric/internal/obs"
)

func replaceOnce(text, old, with string) string {
	if strings.Count(text, old) != 1 {
		panic(old + " is not once in " + text)
	}
	return strings.Replace(text, old, with, 1)
}

// object is a JSON object.
type object = map[string]any

// Dashboard is the file that Grafana imports.
func Dashboard() []byte {
	const width, height = 12, 8
	source := object{"type": "prometheus", "uid": "${datasource}"}
	var panels []object
	y, id := 0, 0
	next := func() int { id++; return id }
	for _, row := range Rows() {
		panels = append(panels, object{"id": next(), "type": "row", "title": row.Title, "collapsed": false, "panels": []object{}, "gridPos": object{"x": 0, "y": y, "w": 2 * width, "h": 1}})
		y++
		for i, p := range row.Panels {
			var targets []object
			for j, q := range p.Queries {
				targets = append(targets, object{"refId": string(rune('A' + j)), "datasource": source, "expr": q.OfPanel(), "legendFormat": q.Legend, "range": true})
			}
			panels = append(panels, object{
				"id": next(), "type": "timeseries", "title": p.Title, "description": p.Help, "datasource": source, "targets": targets,
				"gridPos":     object{"x": i % 2 * width, "y": y + i/2*height, "w": width, "h": height},
				"fieldConfig": object{"defaults": object{"unit": p.Unit, "min": 0}, "overrides": []object{}},
				"options":     object{"legend": object{"displayMode": "list", "placement": "bottom"}, "tooltip": object{"mode": "multi", "sort": "desc"}},
			})
		}
		y += (len(row.Panels) + 1) / 2 * height
	}
	text, err := marshal(object{
		"title": "FlowFabric — Operator Observability", "uid": "flowfabric-ops", "refresh": "30s", "time": object{"from": "now-1h", "to": "now"},
		"schemaVersion": 39, "editable": true, "tags": []string{"flowfabric"}, "timezone": "", "panels": panels,
		"templating": object{"list": []object{{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": object{}}}},
	})
	if err != nil {
		panic(err) // texts and numbers only
	}
	return text
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return b.Bytes(), err
}

// Rules is the file of Prometheus. JSON is YAML, and a quoted text is the same in both.
func Rules() []byte {
	var b bytes.Buffer
	b.WriteString("# Generated from internal/dashboard: go generate ./internal/dashboard\ngroups:\n  - name: flowfabric\n    rules:\n")
	for _, a := range Alerts() {
		fmt.Fprintf(&b, "      - alert: %s\n        expr: %s\n        for: %s\n        labels: {severity: %s}\n        annotations: {summary: %s}\n",
			a.Name, quoted(a.Query.OfRule()+" "+a.Beyond), a.For, a.Severity, quoted(a.Summary))
	}
	return b.Bytes()
}

func quoted(text string) string {
	q, err := marshal(text)
	if err != nil {
		panic(err) // a text
	}
	return strings.TrimSpace(string(q))
}

// Table is the list of metrics for people, in Markdown.
func Table() []byte {
	var b bytes.Buffer
	b.WriteString("| Metric | Type | Labels | What |\n|---|---|---|---|\n")
	for _, metric := range m.All() {
		def := metric.Def()
		var labels []string
		for _, l := range def.Labels {
			labels = append(labels, labelText(l))
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", def.Name, def.Kind, strings.Join(labels, "; "), def.Help)
	}
	return b.Bytes()
}

func labelText(l obs.Label) string {
	if l.Values == nil {
		limit := l.Cap
		if limit == 0 {
			limit = obs.DefaultCap
		}
		return fmt.Sprintf("`%s` (%d at most, then `%s`)", l.Name, limit, obs.Other)
	}
	return fmt.Sprintf("`%s`: `%s`", l.Name, strings.Join(l.Values, "` `"))
}
