package main

import (
	"errors"
	"net/http"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/bench"
	"github.com/flowfabric/flowfabric/internal/backend"
)

// Exit codes, as the package documentation has them.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitConflict    = 4
	exitUnavailable = 5
	exitInterrupted = 130 // by a second signal
)

const exitCodes = `Exit status: 0 success, 1 failure, 2 bad usage or input, 3 not found, 4 conflict with the present state, 5 unavailable.`

var errCheck = errors.New("check failed")

// begun marks the error of a command that has begun. All others are cobra's, about the command line.
type begun struct{ error }

func (e begun) Unwrap() error { return e.error }

// usageError marks an error of a command that has begun, but can do nothing with what it was told.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitError is an error with an exit code of its own.
type exitError struct {
	error
	code int
}

func (e exitError) Unwrap() error { return e.error }

func exitCode(err error) int {
	var b begun
	var u usageError
	var x exitError
	var coded *flowfabric.Error
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &x):
		return x.code
	case !errors.As(err, &b), errors.As(err, &u), errors.Is(err, backend.ErrURL), errors.Is(err, bench.ErrOptions):
		return exitUsage
	case errors.As(err, &coded):
		return exitOfCode(coded.Code)
	}
	return exitFailure
}

// exitOfCode follows the status a server answers the code with.
func exitOfCode(code flowfabric.Code) int {
	if code == flowfabric.CodeWaitpointNotFound { // 409 on the wire, since it may come yet
		return exitNotFound
	}
	switch code.Lookup().HTTP {
	case http.StatusBadRequest:
		return exitUsage
	case http.StatusNotFound:
		return exitNotFound
	case http.StatusConflict, http.StatusGone:
		return exitConflict
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return exitUnavailable
	}
	return exitFailure
}

// advice says what to do about an error whose text does not; empty for none.
func advice(err error) string {
	var e *flowfabric.Error
	if !errors.As(err, &e) {
		return ""
	}
	return advices[e.Code]
}

var advices = map[flowfabric.Code]string{
	flowfabric.CodeExecutionNotFound:    "flowfabric list shows the executions there are; a finished one is kept for a while only",
	flowfabric.CodeFlowNotFound:         "flowfabric flow list shows the flows there are",
	flowfabric.CodeBudgetNotFound:       "flowfabric budget list shows the budgets there are",
	flowfabric.CodeQuotaNotFound:        "flowfabric quota list shows the quotas there are",
	flowfabric.CodeWaitpointNotFound:    "flowfabric waitpoints EXECUTION shows what the execution waits for",
	flowfabric.CodeExecutionNotTerminal: "cancel it first, or wait for its end with flowfabric result --wait",
	flowfabric.CodeExecutionNotEligible: "flowfabric explain EXECUTION says what it is doing",
	flowfabric.CodeKeyNotFound:          "flowfabric key list shows the keys there are",
	flowfabric.CodeUnauthorized:         "the server wants a key or a token: --token or FF_TOKEN; flowfabric key create makes one",
	flowfabric.CodeForbidden:            "flowfabric key list shows what a key may do",
	flowfabric.CodeUnavailable: "is the server running? Its URL is --server or FF_SERVER; flowfabric dev starts one; " +
		"--store URL needs none",
}
