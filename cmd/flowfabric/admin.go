package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/config"
)

func newAdmin() *cobra.Command {
	return group("admin", "Look at how a deployment is laid out", newCollisions())
}

func newCollisions() *cobra.Command {
	return &cobra.Command{
		Use:   "partition-collisions",
		Short: "Say which lanes of FF_LANES share a partition",
		Long: `Say which lanes of FF_LANES share a partition, of as many as FF_FLOW_PARTITIONS says. Executions outside of
flows live on the partition of their lane. No store and no server is needed.`,
		Args: cobra.NoArgs,
		RunE: begin(func(cmd *cobra.Command, _ []string) error {
			cfg, err := placement(os.Environ())
			if err != nil {
				return usageError{err}
			}
			printCollisions(cmd.OutOrStdout(), cfg.Partitions(), cfg.Lanes)
			return nil
		}),
	}
}

// placement is what an environment says of partitions and lanes.
func placement(environ []string) (config.Server, error) {
	// The store does not matter here, but a configuration without one is not valid.
	some := slices.DeleteFunc(slices.Clone(environ), func(line string) bool {
		return !strings.HasPrefix(line, "FF_LANES=") && !strings.Contains(line, "_PARTITIONS=")
	})
	cfg, _, err := config.Load(append(some, "FF_STORE_URL=memory:"))
	return cfg, err
}

// printCollisions prints the report of chapter 70, section 11.
func printCollisions(out io.Writer, partitions flowfabric.PartitionConfig, lanes []flowfabric.LaneID) {
	of := make(map[uint16][]flowfabric.LaneID)
	for _, lane := range lanes {
		index := partitions.OfLane(lane).Index
		of[index] = append(of[index], lane)
	}
	colliding := 0
	for _, sharing := range of {
		if len(sharing) > 1 {
			colliding += len(sharing)
		}
	}
	percent := 100 * float64(colliding) / float64(len(lanes))
	fmt.Fprintf(out, "Partition collisions of lanes\n\n")
	fmt.Fprintf(out, "num_flow_partitions: %d\nlanes configured: %d\n", partitions.Flow, len(lanes))
	fmt.Fprintf(out, "lanes colliding: %d (%.1f%%)\nseverity: %s\n\n", colliding, percent, severity(colliding, percent))
	width := 16
	for _, lane := range lanes {
		width = max(width, len(lane))
	}
	fmt.Fprintf(out, "%-9s | %-*s | %s\n", "partition", width, "lane", "collides_with")
	for _, lane := range lanes {
		index := partitions.OfLane(lane).Index
		others := slices.DeleteFunc(slices.Clone(of[index]), func(other flowfabric.LaneID) bool { return other == lane })
		fmt.Fprintf(out, "%9d | %-*s | %s\n", index, width, lane, orDash(words(others)))
	}
	if colliding > 0 {
		fmt.Fprint(out, collisionAdvice)
	}
}

const collisionAdvice = `
What helps:
  - more partitions (FF_FLOW_PARTITIONS), before the first execution: they cannot be changed later
  - another name for one of two lanes that share a partition
  - executions in flows, which are spread by the flow instead of the lane
`

func severity(colliding int, percent float64) string {
	switch {
	case colliding == 0:
		return "Clean"
	case percent < 5:
		return "Watch"
	case percent <= 15:
		return "Elevated"
	}
	return "Remediate"
}
