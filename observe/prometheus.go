package observe

import (
	"context"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/flowfabric/flowfabric/internal/obs"
)

// Handler serves m, and what the Go runtime and the operating system say of the process, in the text form of Prometheus. It
// asks for no authority.
func Handler(m *Metrics) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(Collector(m), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	page := promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { page.ServeHTTP(plain{w}, r) })
}

// plain takes from the content type how names would be escaped if they needed to be, which no reader of version 0.0.4 knows of.
type plain struct{ http.ResponseWriter }

// Write implements [http.ResponseWriter].
func (p plain) Write(text []byte) (int, error) {
	p.trim()
	return p.ResponseWriter.Write(text)
}

// WriteHeader implements [http.ResponseWriter].
func (p plain) WriteHeader(status int) {
	p.trim()
	p.ResponseWriter.WriteHeader(status)
}

func (p plain) trim() {
	h := p.Header()
	if text, _, found := strings.Cut(h.Get("Content-Type"), "; escaping="); found {
		h.Set("Content-Type", text)
	}
}

// maxScrapes bounds the scrapes under way at once; one more is answered 503.
const maxScrapes = 4

// Collector returns what exposes m in a registry.
func Collector(m *Metrics) prometheus.Collector {
	c := &collector{m: m, descs: make(map[string]*prometheus.Desc)}
	for _, metric := range m.All() {
		def := metric.Def()
		var labels []string
		for _, l := range def.Labels {
			labels = append(labels, l.Name)
		}
		c.descs[def.Name] = prometheus.NewDesc(def.Name, def.Help, labels, nil)
	}
	return c
}

type collector struct {
	m     *obs.Metrics
	descs map[string]*prometheus.Desc
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		descs <- d
	}
}

// Collect implements [prometheus.Collector]. What is sampled is bounded by the sampler: a collector has no context.
func (c *collector) Collect(metrics chan<- prometheus.Metric) {
	c.m.Collect(context.Background(), func(metric obs.Metric) {
		def := metric.Def()
		for _, s := range metric.Series() {
			metrics <- exposed(c.descs[def.Name], &def, &s)
		}
	})
}

func exposed(desc *prometheus.Desc, def *obs.Def, s *obs.Series) prometheus.Metric {
	for i, v := range s.Labels {
		s.Labels[i] = strings.ToValidUTF8(v, "?") // anything else would be a panic
	}
	switch def.Kind {
	case obs.KindCounter:
		return prometheus.MustNewConstMetric(desc, prometheus.CounterValue, s.Value, s.Labels...)
	case obs.KindGauge:
		return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, s.Value, s.Labels...)
	default:
		buckets := make(map[float64]uint64, len(s.Buckets))
		for i, n := range s.Buckets {
			buckets[def.Buckets[i]] = n
		}
		return prometheus.MustNewConstHistogram(desc, s.Count, s.Sum, buckets, s.Labels...)
	}
}
