// Package crashtest kills real processes under load and checks that nothing that was acknowledged is lost and that every
// execution ends exactly once. It holds only tests.
package crashtest
