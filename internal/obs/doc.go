// Package obs is what the engine, the stores' callers, workers and the server record of themselves: metrics of chapter 80,
// section 80.10, with bounded labels. Recording is a few atomic additions and allocates nothing; who is given no [Metrics]
// records nothing. How metrics are exposed is not known here: package metrics does that for Prometheus.
package obs
