// Package crashtest breaks things under load: it kills processes, restarts the database, steps clocks, holds old snapshots
// and fills tables, and checks that nothing that was acknowledged is lost, that every execution ends exactly once and that
// work goes on as fast as promised. It holds only tests.
//
// Each test has a short form, which every run takes, and a long one, which FF_SOAK=1 asks for: `make soak`.
package crashtest
