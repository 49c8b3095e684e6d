// Package promtest asks Prometheus itself, as a library, whether each query of the dashboard and of the alert rules finds what a
// server records. It is a module of its own, since Prometheus brings more than all else of this repository.
package promtest
