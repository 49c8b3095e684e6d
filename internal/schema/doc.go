// Package schema writes down what package wire encodes: the JSON schema of a Go type, as [wire.Marshal] writes it and
// [wire.Decode] reads it, and the parameters of a query, as [wire.SetQuery] reads them. It is of JSON Schema 2020-12, the
// dialect of OpenAPI 3.1. Descriptions, words of enumerations and bounds are those of the Go source.
package schema

//go:generate go run ./gen
