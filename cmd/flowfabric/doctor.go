package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/internal/backend"
	"github.com/flowfabric/flowfabric/store"
)

// grade is how a check went.
type grade string

// Grades.
const (
	gradeOK   grade = "ok"
	gradeWarn grade = "warn"
	gradeFail grade = "fail"
)

// finding is what a check found.
type finding struct {
	Check  string `json:"check"`
	Grade  grade  `json:"grade"`
	Detail string `json:"detail,omitzero"`
}

func newDoctor() *cobra.Command {
	var url string
	cmd := onService(&cobra.Command{
		Use:   "doctor",
		Short: "Check that a server or a store is well: schema, clock, secrets, leases, lanes",
		Long: `Check that a server or a store is well: that it answers, and how fast; with --store that its schema is up to
date, its clock agrees with this machine's, and its partition counts are those of the environment; that a
secret signs; that no lease has run out without being taken up; which lanes hand out nothing. A check that
fails is exit status 1.`,
		Args: cobra.NoArgs,
	}, func(ctx context.Context, s *session, _ []string) error {
		found := []finding{{"version", gradeOK, buildVersion().String() + ", " + buildVersion().goVersion}}
		if url != "" {
			found = append(found, checkSchema(ctx, url), s.checkClock(ctx, url), checkPartitions(ctx, url))
		}
		for _, check := range []func(context.Context) finding{s.checkAnswer, s.checkSecrets, s.checkLeases, s.checkLanes} {
			found = append(found, check(ctx))
		}
		return s.printFindings(found)
	})
	cmd.PreRun = func(cmd *cobra.Command, _ []string) { url = cmd.Flag("store").Value.String() }
	return cmd
}

func (s *session) printFindings(found []finding) error {
	err := s.out.value(found, func(w io.Writer) {
		for _, f := range found {
			row(w, f.Grade, f.Check, f.Detail)
		}
	})
	failed := 0
	for _, f := range found {
		if f.Grade == gradeFail {
			failed++
		}
	}
	if err == nil && failed > 0 {
		return fmt.Errorf("%w: %d of %d", errCheck, failed, len(found))
	}
	return err
}

func checkSchema(ctx context.Context, url string) finding {
	if kind, err := backend.KindOf(url); err == nil && kind == backend.Memory {
		return finding{"schema", gradeOK, "a store in memory has none"}
	}
	schema, err := backend.Status(ctx, url)
	switch {
	case err != nil:
		return finding{"schema", gradeFail, err.Error()}
	case len(schema.Pending) > 0:
		return finding{"schema", gradeFail, fmt.Sprintf("%d migrations are pending: flowfabric migrate --store URL", len(schema.Pending))}
	}
	return finding{"schema", gradeOK, fmt.Sprintf("version %d", schema.Version)}
}

// maxSkew is how far clocks may be apart before people wonder about the times they are shown. Leases do not mind: all their
// times are the store's.
const maxSkew = 2 * time.Second

func (s *session) checkClock(ctx context.Context, url string) finding {
	st, closeStore, err := backend.Open(ctx, url)
	if err != nil {
		return finding{"clock", gradeFail, err.Error()}
	}
	defer func() { _ = closeStore() }() // only read
	tx, err := st.View(ctx, store.Reads{})
	if err != nil {
		return finding{"clock", gradeFail, err.Error()}
	}
	skew := tx.Now().Sub(flowfabric.TimestampOf(s.clock.Now()))
	if skew.Abs() > maxSkew {
		return finding{"clock", gradeWarn, fmt.Sprintf("the store's is %s ahead of this machine's", span(skew))}
	}
	return finding{"clock", gradeOK, "agrees with the store's"}
}

// checkPartitions compares what a store was made for with what a server would be started with here.
func checkPartitions(ctx context.Context, url string) finding {
	const check = "partitions"
	bad := func(err error) finding { return finding{check, gradeFail, err.Error()} }
	cfg, err := placement(os.Environ())
	if err != nil {
		return bad(err)
	}
	asked := cfg.Partitions()
	st, closeStore, err := backend.Open(ctx, url)
	if err != nil {
		return bad(err)
	}
	defer func() { _ = closeStore() }() // only read
	stored, err := engine.Partitions(ctx, st)
	switch {
	case err != nil:
		return bad(err)
	case stored == (flowfabric.PartitionConfig{}):
		return finding{check, gradeOK, "none kept yet; the first server keeps its own"}
	case stored != asked:
		return finding{check, gradeFail, fmt.Sprintf("the store was made for %s; a server would be started with %s here: see FF_FLOW_PARTITIONS", counts(stored), counts(asked))}
	}
	return finding{check, gradeOK, counts(stored)}
}

// counts prints numbers of partitions.
func counts(p flowfabric.PartitionConfig) string {
	return fmt.Sprintf("%d flow, %d budget, %d quota", p.Flow, p.Budget, p.Quota)
}

func (s *session) checkAnswer(ctx context.Context) finding {
	begun := s.clock.Now()
	if _, err := s.ListLanes(ctx, flowfabric.ListLanes{Limit: 1}); err != nil {
		return finding{"answer", gradeFail, err.Error()}
	}
	return finding{"answer", gradeOK, "in " + s.clock.Now().Sub(begun).Round(10*time.Microsecond).String()}
}

func (s *session) checkSecrets(ctx context.Context) finding {
	secrets, err := s.ListSecrets(ctx)
	if err != nil {
		return finding{"secrets", gradeFail, err.Error()}
	}
	for _, k := range secrets {
		if k.Current {
			return finding{"secrets", gradeOK, fmt.Sprintf("%s signs, %d verify", k.Kid, len(secrets))}
		}
	}
	return finding{"secrets", gradeWarn, "none yet; the first server or suspension makes one"}
}

// lateness is how long a lease may have run out before somebody should have noticed.
const lateness = 30 * time.Second

func (s *session) checkLeases(ctx context.Context) finding {
	q := flowfabric.ListExpiredLeases{Limit: flowfabric.MaxPage, AsOf: s.out.now.Add(-lateness)}
	late, err := s.ListExpiredLeases(ctx, q)
	switch {
	case err != nil:
		return finding{"leases", gradeFail, err.Error()}
	case len(late.Items) > 0:
		return finding{"leases", gradeWarn, fmt.Sprintf("%d or more ran out over %s ago and were not claimed again: are there workers? flowfabric worker late", len(late.Items), lateness)}
	}
	return finding{"leases", gradeOK, "none is late"}
}

func (s *session) checkLanes(ctx context.Context) finding {
	lanes, err := s.ListLanes(ctx, flowfabric.ListLanes{Limit: flowfabric.MaxPage})
	if err != nil {
		return finding{"lanes", gradeFail, err.Error()}
	}
	var closed []flowfabric.LaneID
	for _, lane := range lanes.Items {
		if lane.State != flowfabric.LaneActive {
			closed = append(closed, lane.Lane)
		}
	}
	if len(closed) > 0 {
		return finding{"lanes", gradeWarn, "not active: " + words(closed)}
	}
	return finding{"lanes", gradeOK, fmt.Sprintf("%d, all active", len(lanes.Items))}
}
