package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"example.com/mesh/pilot/pkg/bootstrap"
	"example.com/mesh/pkg/meshconfig"
)

func newValidate() *cobra.Command {
	var path, template string
	cmd := &cobra.Command{
		Use:   "validate -f FILE|DIR",
		Short: "Check mesh configuration, or a bootstrap template, without running anything",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if path != "" {
				config, err := validateConfig(path)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s is valid: %d listeners, %d clusters\n", path, len(config.Listeners), len(config.Clusters))
			}
			if template != "" {
				if err := validateTemplate(template); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s is valid\n", template)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&path, "file", "f", "", "YAML file, or directory of them")
	cmd.Flags().StringVar(&template, "bootstrap-template", "", "template of Envoy's bootstrap")
	cmd.MarkFlagsOneRequired("file", "bootstrap-template")
	return cmd
}

func validateConfig(path string) (*meshconfig.Config, error) {
	files, err := meshconfig.Read(path)
	if err != nil {
		return nil, err
	}
	config, err := meshconfig.Parse(files)
	if err != nil {
		// One error a line, since all of them are reported at once.
		return nil, fmt.Errorf("%s is not valid:\n%w", path, err)
	}
	return config, nil
}

// validateTemplate renders with sample values: what can be wrong does not
// depend on them.
func validateTemplate(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	_, err = bootstrap.Render(string(text), bootstrap.Values{
		NodeID: "node", Cluster: "cluster", DiscoveryHost: "pilot", DiscoveryPort: 15010,
		AdminAddress: "127.0.0.1", AdminPort: 15000,
	})
	if err != nil {
		return fmt.Errorf("%s is not valid:\n%w", path, err)
	}
	return nil
}
