// Package server is the HTTP API over a [flowfabric.Service] (chapter 70): the routes of the reference with their wire
// format, and beside them every operation of the service, for clients and workers in any language. It decides nothing about
// executions: it reads a request, asks whether the caller may, makes the call, and writes the answer.
package server
