package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// purgeCommand asks a running sidecar to invalidate tags.
func purgeCommand(ctx context.Context, c console, args []string) int {
	flags := flag.NewFlagSet("sidecar purge", flag.ContinueOnError)
	flags.SetOutput(c.stderr)
	ops := flags.String("ops", "", "ops address of the sidecar, like http://127.0.0.1:9090 (default: OPS_ADDR)")
	all := flags.Bool("all", false, "purge everything")
	if err := flags.Parse(args); err != nil {
		return usageStatus(err)
	}
	if flags.NArg() == 0 && !*all {
		fmt.Fprintln(c.stderr, "sidecar purge: name the tags to purge, like character:42 or 'character:*', or say --all")
		return exitUsage
	}
	settings, err := clientSettings(c.env, *ops)
	if err != nil {
		fmt.Fprintf(c.stderr, "sidecar purge: %v\n", err)
		return exitUsage
	}
	answer, err := settings.purge(ctx, flags.Args(), *all)
	if err != nil {
		fmt.Fprintf(c.stderr, "sidecar purge: %v\n", err)
		return exitFaulty
	}
	fmt.Fprintln(c.stdout, answer)
	return exitDone
}

// usageStatus is the exit status for an error of flag.Parse: asking for help is none.
func usageStatus(err error) int {
	if errors.Is(err, flag.ErrHelp) {
		return exitDone
	}
	return exitUsage
}

// opsTimeout bounds one question to a running sidecar.
const opsTimeout = 10 * time.Second

// purge posts to /admin/purge and returns the answer.
func (s opsClient) purge(ctx context.Context, tags []string, all bool) (string, error) {
	body, err := json.Marshal(map[string]any{"tags": tags, "all": all})
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, opsTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/admin/purge", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("no sidecar answers there: %w", err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the sidecar answered %s: %s", response.Status, strings.TrimSpace(string(content)))
	}
	return strings.TrimSpace(string(content)), nil
}

// An opsClient talks to a running sidecar's ops address.
type opsClient struct{ url, token string }

// clientSettings returns the ops address (ops, or OPS_ADDR) and the token (ADMIN_TOKEN or
// ADMIN_TOKEN_FILE).
func clientSettings(env []string, ops string) (opsClient, error) {
	lookup := environment(env)
	if ops == "" {
		addr, _ := lookup("OPS_ADDR")
		if addr == "" {
			addr = ":9090"
		}
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return opsClient{}, fmt.Errorf("OPS_ADDR: %w", err)
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		ops = "http://" + net.JoinHostPort(host, port)
	}
	token, _ := lookup("ADMIN_TOKEN")
	if file, _ := lookup("ADMIN_TOKEN_FILE"); token == "" && file != "" {
		content, err := os.ReadFile(file)
		if err != nil {
			return opsClient{}, fmt.Errorf("ADMIN_TOKEN_FILE: %w", err)
		}
		token = strings.TrimRight(string(content), "\r\n")
	}
	if token == "" {
		return opsClient{}, errors.New("ADMIN_TOKEN is not set: it is the token that the running sidecar was started with")
	}
	return opsClient{url: strings.TrimRight(ops, "/"), token: token}, nil
}
