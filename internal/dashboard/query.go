// Package dashboard is the Grafana dashboard and the alert rules of Prometheus, made of the metrics themselves, so that no query
// can name one that is not recorded (chapter 80, section 12). The files of docs/observability are generated from it.
package dashboard

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/flowfabric/flowfabric/internal/obs"
)

//go:generate go test -run=^TestFiles$ . -update

// Query is a question to Prometheus, and the metrics it reads.
type Query struct {
	Expr   string
	Legend string
	Reads  []string
}

// window stands for how far back a rate looks: what Grafana takes for it, and what the rules do.
const (
	window     = "$window"
	panelRange = "$__rate_interval"
	ruleRange  = "5m"
)

func legend(by []string) string {
	parts := make([]string, len(by))
	for i, l := range by {
		parts[i] = "{{" + l + "}}"
	}
	return strings.Join(parts, " ")
}

func name(m obs.Metric) string { return m.Def().Name }

// check panics on a label the metric does not have.
func check(m obs.Metric, labels []string) {
	for _, l := range labels {
		found := false
		for _, have := range m.Def().Labels {
			found = found || have.Name == l
		}
		if !found {
			panic(name(m) + " has no label " + l)
		}
	}
}

// sum is the sum of a gauge by labels: of what each process says of itself.
func sum(m obs.Metric, by ...string) Query { return aggregate("sum", m, by) }

// most is the highest of a gauge by labels: of what every process says of the same store.
func most(m obs.Metric, by ...string) Query { return aggregate("max", m, by) }

func aggregate(how string, m obs.Metric, by []string) Query {
	check(m, by)
	return Query{Expr: fmt.Sprintf("%s%s (%s)", how, clause(by), name(m)), Legend: legend(by), Reads: []string{name(m)}}
}

func clause(by []string) string {
	if len(by) == 0 {
		return ""
	}
	return " by (" + strings.Join(by, ", ") + ")"
}

// rate is how often a counter counts, or a histogram observes, a second, by labels.
func rate(m obs.Metric, by ...string) Query { return rateOf(m, "", by) }

// rateOf is rate of what a selector says.
func rateOf(m obs.Metric, selector string, by []string) Query {
	check(m, by)
	series := name(m)
	if m.Def().Kind == obs.KindHistogram {
		series += "_count"
	}
	return Query{Expr: fmt.Sprintf("sum%s (rate(%s%s[%s]))", clause(by), series, selector, window), Legend: legend(by), Reads: []string{name(m)}}
}

// quantile is a quantile of a histogram by labels.
func quantile(q float64, m obs.Metric, by ...string) Query {
	check(m, by)
	labels := strings.Join(append(append([]string(nil), by...), "le"), ", ")
	p := "p" + strconv.Itoa(int(q*100+0.5))
	return Query{
		Expr:   fmt.Sprintf("histogram_quantile(%g, sum by (%s) (rate(%s_bucket[%s])))", q, labels, name(m), window),
		Legend: strings.TrimSpace(legend(by) + " " + p), Reads: []string{name(m)},
	}
}

// ratio is one query in another's share, both by the same labels or none.
func ratio(part, whole Query) Query {
	return Query{Expr: part.Expr + " / " + whole.Expr, Legend: whole.Legend, Reads: append(part.Reads, whole.Reads...)}
}

// named gives a query another legend.
func (q Query) named(legend string) Query {
	q.Legend = legend
	return q
}

// over returns the query with rates over so long a time.
func (q Query) over(t string) string { return strings.ReplaceAll(q.Expr, window, t) }

// OfPanel is the query as Grafana has it.
func (q Query) OfPanel() string { return q.over(panelRange) }

// OfRule is the query as Prometheus has it.
func (q Query) OfRule() string { return q.over(ruleRange) }
