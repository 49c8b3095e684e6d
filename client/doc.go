// Package client is a [flowfabric.Service] over HTTP: what an engine does in process, a server does for it. A worker does not
// know the difference.
package client
