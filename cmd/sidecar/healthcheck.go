package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// healthTimeout bounds a health check, which runs every few seconds.
const healthTimeout = 5 * time.Second

// healthcheckCommand asks the own ops address, for images without a shell.
func healthcheckCommand(c console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "healthcheck [--ready] [--ops URL]",
		Short: "asks the own ops address: exit status 0 if the sidecar is well, else 1",
		Args:  noArguments, DisableFlagsInUseLine: true,
	}
	ops := opsFlag(cmd.Flags())
	ready := cmd.Flags().Bool("ready", false,
		"ask whether it takes traffic, and not whether it lives")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		url, err := opsURL(c.env, *ops)
		if err != nil {
			return failure{exitUsage, err}
		}
		endpoint := "/healthz"
		if *ready {
			endpoint = "/readyz"
		}
		return checkHealth(cmd, url+endpoint)
	}
	return cmd
}

func checkHealth(cmd *cobra.Command, url string) error {
	request, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, url, nil)
	if err != nil {
		return misused("the ops address is no URL like http://127.0.0.1:9090")
	}
	// the environment's proxy is none of the loopback's
	client := http.Client{
		Timeout: healthTimeout, Transport: &http.Transport{DisableKeepAlives: true},
	}
	response, err := client.Do(request)
	if err != nil {
		return failed(fmt.Errorf("no sidecar answers there: %w", err))
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return failed(fmt.Errorf("%s answers %s", url, response.Status))
	}
	return nil
}
