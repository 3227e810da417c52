// Command bug-report collects diagnostics of a mesh into one archive.
package main

import (
	"bytes"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"example.com/mesh/pkg/atomicfile"
	"example.com/mesh/pkg/cli"
	"example.com/mesh/tools/bug-report/report"
)

func main() {
	var path string
	var sources report.Sources
	root := cli.NewRoot("bug-report", "Collect versions, configuration and debug endpoints into a tar.gz, without secrets")
	root.Example = "bug-report --config-dir config --endpoint http://pilot:8080/debug/syncz --endpoint http://proxy:15000/config_dump"
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		sources.Now = time.Now()
		var archive bytes.Buffer
		if err := report.Write(cmd.Context(), &archive, sources); err != nil {
			return err
		}
		if err := atomicfile.Write(path, &archive, 0o600); err != nil {
			return err
		}
		_, err := fmt.Fprintln(cmd.OutOrStdout(), path)
		return err
	}
	root.Flags().StringVarP(&path, "output", "o", "bug-report.tar.gz", "archive to write")
	root.Flags().StringVar(&sources.ConfigDir, "config-dir", "", "configuration directory to include")
	root.Flags().StringArrayVar(&sources.Endpoints, "endpoint", nil, "URL to include the answer of, may be repeated")
	cli.Main(root)
}
