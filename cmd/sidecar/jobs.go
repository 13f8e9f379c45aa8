package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sidecar/internal/jobs"
)

// adminQueue is the jobs as the ops address has them.
type adminQueue struct{ *jobs.Jobs }

func (q adminQueue) Job(ctx context.Context, id string) (jobs.Record, error) {
	return q.Jobs.Job(ctx, nil, id)
}

func (q adminQueue) Cancel(ctx context.Context, r jobs.Record) (jobs.Status, error) {
	return q.Jobs.Cancel(ctx, nil, r)
}

// jobsCommand looks at the jobs of a running sidecar.
func jobsCommand(c console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "jobs ls|show|retry|cancel",
		Short: "lists, shows, retries and cancels jobs of a running sidecar, with ADMIN_TOKEN",
		Args:  cobra.NoArgs,
	}
	var status, cursor string
	list := jobCommand(c, "ls [--ops URL] [--status STATUS] [--cursor CURSOR]",
		"lists jobs, a page at a time",
		cobra.NoArgs, func([]string) (string, string) {
			q := url.Values{}
			if status != "" {
				q.Set("status", status)
			}
			if cursor != "" {
				q.Set("cursor", cursor)
			}
			return http.MethodGet, "/admin/jobs?" + q.Encode()
		})
	list.Flags().StringVar(&status, "status", "", "those with this `STATUS`, like failed")
	list.Flags().StringVar(&cursor, "cursor", "",
		"the `CURSOR` of the next page, as the last page names it")
	cmd.AddCommand(list)
	for _, a := range []struct{ name, short, method, suffix string }{
		{"show", "shows a job, without its request and response", http.MethodGet, ""},
		{"retry", "runs a job at once that waits for its next attempt", http.MethodPost, "/retry"},
		{"cancel", "cancels a job, also one that runs", http.MethodDelete, ""},
	} {
		cmd.AddCommand(jobCommand(c, a.name+" [--ops URL] ID", a.short, cobra.ExactArgs(1),
			func(args []string) (string, string) {
				return a.method, "/admin/jobs/" + url.PathEscape(args[0]) + a.suffix
			}))
	}
	return cmd
}

// idsLast has the ids of jobs that begin with '-', as some do, behind the flags and "--": they
// would be taken for flags.
func idsLast(args []string) []string {
	isID := func(arg string) bool { return strings.HasPrefix(arg, "-") && jobs.ValidID(arg) }
	if len(args) == 0 || args[0] != "jobs" || slices.Contains(args, "--") ||
		!slices.ContainsFunc(args, isID) {
		return args
	}
	flags, ids := []string(nil), []string{"--"}
	for _, arg := range args {
		if isID(arg) {
			ids = append(ids, arg)
		} else {
			flags = append(flags, arg)
		}
	}
	return append(flags, ids...)
}

// jobCommand asks the ops address, and prints its answer. The first argument is the method and the
// endpoint.
func jobCommand(
	c console, use, short string, args cobra.PositionalArgs,
	what func(args []string) (method, endpoint string),
) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: args, DisableFlagsInUseLine: true}
	ops := opsFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := adminClient(c.env, *ops)
		if err != nil {
			return failure{exitUsage, err}
		}
		method, endpoint := what(args)
		answer, err := client.send(cmd.Context(), method, endpoint, nil)
		if err != nil {
			return failed(err)
		}
		fmt.Fprintln(c.stdout, answer)
		return nil
	}
	return cmd
}
