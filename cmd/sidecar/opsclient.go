package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// An opsClient talks to a running sidecar's ops address.
type opsClient struct{ url, token string }

// maxAnswer bounds the length of an answer, in bytes.
const maxAnswer = 4 << 20

// opsFlag adds the flag for the ops address of a running sidecar.
func opsFlag(flags *pflag.FlagSet) *string {
	return flags.String("ops", "", "ops address of the sidecar, a `URL` like http://127.0.0.1:9090"+
		" (default: OPS_ADDR)")
}

// opsURL is the ops address of a running sidecar: ops, or OPS_ADDR.
func opsURL(env []string, ops string) (string, error) {
	if ops == "" {
		lookup := environment(env)
		addr, _ := lookup("OPS_ADDR")
		if addr == "" {
			addr = ":9090"
		}
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return "", fmt.Errorf("OPS_ADDR: %w", err)
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		ops = "http://" + net.JoinHostPort(host, port)
	}
	if !strings.Contains(ops, "://") {
		ops = "http://" + ops // host:port, as in OPS_ADDR
	}
	return strings.TrimRight(ops, "/"), nil
}

// adminClient is a client with the ADMIN_TOKEN, or that of ADMIN_TOKEN_FILE.
func adminClient(env []string, ops string) (opsClient, error) {
	url, err := opsURL(env, ops)
	if err != nil {
		return opsClient{}, err
	}
	lookup := environment(env)
	token, _ := lookup("ADMIN_TOKEN")
	if file, _ := lookup("ADMIN_TOKEN_FILE"); token == "" && file != "" {
		content, err := os.ReadFile(file)
		if err != nil {
			return opsClient{}, fmt.Errorf("ADMIN_TOKEN_FILE: %w", err)
		}
		token = strings.TrimRight(string(content), "\r\n")
	}
	if token == "" {
		return opsClient{},
			errors.New("ADMIN_TOKEN is not set: it is the token that the running sidecar was started with")
	}
	return opsClient{url: url, token: token}, nil
}

// opsTimeout bounds one question to a running sidecar.
const opsTimeout = 10 * time.Second

// post posts JSON to an endpoint and returns the answer.
func (s opsClient) post(ctx context.Context, endpoint string, body []byte) (string, error) {
	return s.send(ctx, http.MethodPost, endpoint, body)
}

// send sends a request with JSON as the administrator and returns the answer, which is to be a
// success.
func (s opsClient) send(ctx context.Context, method, endpoint string, body []byte) (string, error) {
	return s.sendAs(ctx, method, endpoint, "application/json", body)
}

func (s opsClient) sendAs(
	ctx context.Context, method, endpoint, contentType string, body []byte,
) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, opsTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, s.url+endpoint, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	request.Header.Set("Content-Type", contentType)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("no sidecar answers there: %w", err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return "", err
	}
	if response.StatusCode/100 != 2 {
		return "", fmt.Errorf("the sidecar answered %s: %s", response.Status, saidIn(content))
	}
	return strings.TrimSpace(string(content)), nil
}

// saidIn is the sentence of a problem document (RFC 9457), or the answer as it is.
func saidIn(answer []byte) string {
	var document struct{ Detail string }
	if json.Unmarshal(answer, &document) == nil && document.Detail != "" {
		return document.Detail
	}
	return strings.TrimSpace(string(answer))
}
