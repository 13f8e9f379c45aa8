package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"sidecar/internal/invalidation"
)

// purgeCommand asks a running sidecar to invalidate tags and URLs.
func purgeCommand(c console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "purge [--ops URL] [--all] TAG|URL...",
		Short: "invalidates tags or URLs in a running sidecar, with ADMIN_TOKEN",
		Long: "A TAG is like character:42, or 'character:*' for a family; " +
			"a URL begins with / or http.\n" +
			"The answer counts tags: how many were purged, and how many of these a stored response\n" +
			"may have carried. How many responses that were is not counted: each is found dead when\n" +
			"it is looked up next.",
		Example: "  sidecar purge character:42\n" +
			"  sidecar purge 'character:*' /api/v1/characters\n" +
			"  sidecar purge --all",
		DisableFlagsInUseLine: true,
	}
	ops := opsFlag(cmd.Flags())
	all := cmd.Flags().Bool("all", false, "purge everything")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 && !*all {
			return misused(
				"name the tags to purge, like character:42 or 'character:*', or say --all")
		}
		client, err := adminClient(c.env, *ops)
		if err != nil {
			return failure{exitUsage, err}
		}
		answer, err := client.purge(cmd.Context(), purgeRequest(args, *all))
		if err != nil {
			return failed(err)
		}
		fmt.Fprintln(c.stdout, answer)
		var told struct{ Carried *int }
		if json.Unmarshal([]byte(answer), &told) == nil && told.Carried != nil &&
			*told.Carried == 0 {
			fmt.Fprintln(c.stderr,
				"No stored response carried any of these: is one of them misspelled?")
		}
		return nil
	}
	return cmd
}

// purgeRequest sorts arguments into tags and URLs.
func purgeRequest(args []string, all bool) (r invalidation.Request) {
	r.All = all
	for _, a := range args {
		if strings.HasPrefix(a, "/") || strings.HasPrefix(a, "http://") ||
			strings.HasPrefix(a, "https://") {
			r.URLs = append(r.URLs, a)
		} else {
			r.Tags = append(r.Tags, a)
		}
	}
	return r
}

// purge posts to /admin/purge and returns the answer.
func (s opsClient) purge(ctx context.Context, r invalidation.Request) (string, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	return s.post(ctx, "/admin/purge", body)
}
