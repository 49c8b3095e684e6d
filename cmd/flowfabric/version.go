package main

import (
	"cmp"
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the versions of the program and of Go",
		Args:  cobra.NoArgs,
		RunE: begin(func(cmd *cobra.Command, _ []string) error {
			v := buildVersion()
			fmt.Fprintf(cmd.OutOrStdout(), "flowfabric %s\ncommit     %s\ngo         %s\n", v.module, v.commit, v.goVersion)
			return nil
		}),
	}
}

// version is what the build recorded.
type version struct {
	module, commit, goVersion string
}

func buildVersion() version {
	v := version{module: "unknown", commit: "unknown", goVersion: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.module = cmp.Or(info.Main.Version, "(devel)")
	v.goVersion = info.GoVersion
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if revision := settings["vcs.revision"]; revision != "" {
		v.commit = revision
		if settings["vcs.modified"] == "true" {
			v.commit += " with changes"
		}
	}
	return v
}

// String is the short form, for records: the commit where it is known.
func (v version) String() string {
	if v.commit != "unknown" {
		return v.commit
	}
	return v.module
}
