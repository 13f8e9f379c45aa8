package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sidecar/internal/backend"
	"sidecar/internal/config"
	"sidecar/internal/httpfield"
	"sidecar/policy"
	"sidecar/policy/yamldoc"
	"sidecar/proxy"
)

// A question is the request that explain is asked about.
type question struct {
	method, url string
	fields      []string // "Name: value"
	body        string   // "@FILE" and "@-" as in curl
	hasBody     bool
}

// explainCommand explains the way of a request, and sends nothing.
func explainCommand(c console) *cobra.Command {
	cmd := &cobra.Command{
		Use: "explain [-H 'NAME: VALUE']... [-d BODY] [--policies FILE] [--format text|json]" +
			" [--live [--ops URL]] METHOD URL",
		Short: "says what is done with a request, and why; sends nothing",
		Long: "The route, the key, the tags, the lifetime and the writes that drop the response; of a" +
			" write what\n" +
			"it invalidates, and whether it becomes a job. Policies and secrets are those of" +
			" the environment.\n" +
			"With --live a running sidecar is asked, with ADMIN_TOKEN: it has its own" +
			" policies and secrets,\nand says what it has stored.",
		Example: "  sidecar explain GET /api/v1/characters/42 -H 'Authorization: Bearer …'\n" +
			"  sidecar explain PUT /api/v1/characters/42 -d '{\"name\": \"Mia\"}'",
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return errors.New(
					"name a method and a URL, like: sidecar explain GET /api/v1/characters/42")
			}
			return nil
		},
	}
	var q question
	file := cmd.Flags().String("policies", defaultPolicies(c.env), "`FILE` with the policies")
	format := cmd.Flags().String("format", "text", "`FORMAT`: text or json")
	cmd.Flags().StringArrayVarP(&q.fields, "header", "H", nil,
		"`FIELD` of the request, 'NAME: VALUE'; several times")
	cmd.Flags().StringVarP(&q.body, "data", "d", "",
		"`BODY` of the request; @FILE reads it from a file")
	live := cmd.Flags().Bool("live", false, "ask a running sidecar")
	ops := opsFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *format != "text" && *format != "json" {
			return misused("--format is text or json, not %q", *format)
		}
		q.method, q.url, q.hasBody = args[0], args[1], cmd.Flags().Changed("data")
		ask := func() (proxy.Live, error) { return explain(c, *file, q) }
		if *live {
			*file = "its policies"
			ask = func() (proxy.Live, error) { return explainLive(cmd.Context(), c, *ops, q) }
		}
		e, err := ask()
		if err != nil {
			return err
		}
		if *format == "json" {
			return writeExplanationJSON(c.stdout, e)
		}
		return writeExplanation(c.stdout, *file, e)
	}
	return cmd
}

// explain asks the plan and the rules that serve.
func explain(c console, file string, q question) (e proxy.Live, err error) {
	cfg, err := config.Load(ofRequests(c.env), map[string]string{"REDIS_EMBEDDED": "true"})
	if err != nil {
		return e, failure{exitUsage, err}
	}
	content, err := readPolicies(c, file)
	if err != nil {
		return e, err
	}
	var notes []string
	table, _, err := policy.Load(content, policy.Options{
		File: file, MaxInspect: int64(cfg.MaxInspect), Env: substituted(c.env, &notes),
		Secret: func() []byte { return []byte("a key that is used for nothing but explanations") },
	})
	if err != nil {
		var findings *yamldoc.Findings
		if errors.As(err, &findings) {
			_ = findings.Write(c.stderr, yamldoc.Text)
			err = nil
		}
		return e, failure{exitUsage, err}
	}
	r, body, err := q.request(c.stdin, &notes)
	if err != nil {
		return e, failure{exitUsage, err}
	}
	api, err := backend.New(backend.Options{
		URL: cfg.Backend.URL, Trusted: cfg.TrustedProxies, Via: cfg.Via,
	})
	if err != nil {
		return e, failure{exitUsage, err}
	}
	defer api.Close()
	view, ok := proxy.View(r, api)
	if !ok {
		return e, misused("%q cannot be read for certain: the sidecar answers it with 400", q.url)
	}
	e.Explanation = table.Explain(policy.Request{Request: view, Body: body, Now: time.Now()})
	if upper := strings.ToUpper(q.method); upper != q.method {
		notes = append(notes, "methods are told apart by case: did you mean "+upper+"?")
	}
	e.Notes = append(notes, e.Notes...)
	if jobs := strings.TrimSuffix(cfg.JobsPath, "/"); jobs != "" &&
		strings.HasPrefix(view.Path, jobs+"/") {
		e.Notes = append(e.Notes, "paths below "+jobs+" are the sidecar's own (JOBS_PATH)")
	}
	return e, nil
}

// explainLive asks a running sidecar.
func explainLive(ctx context.Context, c console, ops string, q question) (e proxy.Live, err error) {
	client, err := adminClient(c.env, ops)
	if err != nil {
		return e, failure{exitUsage, err}
	}
	var notes []string
	message, _, err := q.message(c.stdin, &notes)
	if err != nil {
		return e, failure{exitUsage, err}
	}
	answer, err := client.sendAs(ctx, http.MethodPost, "/admin/explain", "message/http", message)
	if err != nil {
		return e, failed(err)
	}
	if err := json.Unmarshal([]byte(answer), &e); err != nil {
		return e, failed(fmt.Errorf("the answer is none of a sidecar: %w", err))
	}
	if strings.HasPrefix(q.url, "/") && e.Stored != nil {
		notes = append(notes, "the key has the authority localhost: give the URL that clients use")
	}
	e.Notes = append(notes, e.Notes...)
	return e, nil
}

// ofRequests are the variables that decide how a request is planned. Others may be faulty here.
func ofRequests(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return !slices.Contains([]string{
			"BACKEND_URL", "TRUSTED_PROXIES", "VIA", "MAX_INSPECT_BODY", "JOBS_PATH",
		}, name)
	})
}

// substituted looks variables up, and gives those that are not set a value, so that a policies file
// can be explained where the secrets of production are not. A token then does not verify.
func substituted(env []string, notes *[]string) func(string) (string, bool) {
	lookup := environment(env)
	return func(name string) (string, bool) {
		if value, ok := lookup(name); ok && value != "" {
			return value, true
		}
		*notes = append(*notes, name+" is not set here: no token verifies")
		return "nothing that anybody has signed a token with", true
	}
}

// request makes the request as a server would have received it from a trusted peer.
func (q question) request(stdin io.Reader,
	notes *[]string) (r *http.Request, body []byte, err error) {
	message, body, err := q.message(stdin, notes)
	if err != nil {
		return nil, nil, err
	}
	if r, err = http.ReadRequest(bufio.NewReader(bytes.NewReader(message))); err != nil {
		return nil, nil, fmt.Errorf("no server takes this request: %w", err)
	}
	r.RemoteAddr = "127.0.0.1:1"
	return r, body, nil
}

// message is the request in the form of HTTP/1.1.
func (q question) message(stdin io.Reader, notes *[]string) (message, body []byte, err error) {
	scheme, host, target, err := q.split()
	if err != nil {
		return nil, nil, err
	}
	if !httpfield.IsToken(q.method) {
		return nil, nil, fmt.Errorf("%q is no method: a method is like GET or POST", q.method)
	}
	var head bytes.Buffer
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\n", q.method, target)
	seen := map[string]bool{}
	for _, line := range q.fields {
		name, value, err := fieldOf(line)
		if err != nil {
			return nil, nil, err
		}
		seen[strings.ToLower(name)] = true
		fmt.Fprintf(&head, "%s: %s\r\n", name, value)
	}
	add := func(name, value string) {
		if !seen[strings.ToLower(name)] {
			fmt.Fprintf(&head, "%s: %s\r\n", name, value)
		}
	}
	add("Host", host)
	if scheme == "https" && !seen["forwarded"] {
		add("X-Forwarded-Proto", "https") // as the ingress says that ends TLS
	}
	if q.hasBody {
		if body, err = q.content(stdin); err != nil {
			return nil, nil, err
		}
		if !seen["content-type"] && json.Valid(body) {
			*notes = append(*notes, "the body is taken for application/json")
			add("Content-Type", "application/json")
		}
		fmt.Fprintf(&head, "Content-Length: %d\r\n", len(body))
	}
	head.WriteString("\r\n")
	head.Write(body)
	return head.Bytes(), body, nil
}

// split cuts a URL, or a path, into the parts of a request.
func (q question) split() (scheme, host, target string, err error) {
	bad := fmt.Errorf(
		"%q is no URL: it is like /api/v1/characters/42 or https://game.example/api/v1/characters/42", q.url)
	if strings.ContainsFunc(q.url, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return "", "", "", bad
	}
	target, _, _ = strings.Cut(q.url, "#") // no client sends the fragment
	if strings.HasPrefix(target, "/") || target == "*" {
		return "", "localhost", target, nil
	}
	scheme, rest, ok := strings.Cut(target, "://")
	if scheme = strings.ToLower(scheme); !ok || scheme != "http" && scheme != "https" {
		return "", "", "", bad
	}
	host, path, hasPath := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		return "", "", "",
			errors.New("the URL has a password: give credentials by -H 'Authorization: …'")
	}
	if name, query, ok := strings.Cut(host, "?"); ok && !hasPath {
		host, path = name, "?"+query
	}
	if host == "" {
		return "", "", "", bad
	}
	return scheme, host, "/" + path, nil
}

// fieldOf reads a field line. An error does not repeat the value, which may be a secret.
func fieldOf(line string) (name, value string, err error) {
	name, value, ok := strings.Cut(line, ":")
	if !ok || !httpfield.IsToken(name) {
		return "", "", errors.New("a field is like -H 'Name: value'")
	}
	value = strings.Trim(value, " \t")
	if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
		return "", "", fmt.Errorf("the value of %s has a control character", name)
	}
	if strings.EqualFold(name, "Content-Length") || strings.EqualFold(name, "Transfer-Encoding") {
		return "", "", fmt.Errorf("%s follows from -d", name)
	}
	return name, value, nil
}

// maxBody bounds the body that explain reads.
const maxBody = 16 << 20

// content is the body, which may lie in a file.
func (q question) content(stdin io.Reader) ([]byte, error) {
	file, isFile := strings.CutPrefix(q.body, "@")
	if !isFile {
		return []byte(q.body), nil
	}
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		stdin = f
	}
	content, err := io.ReadAll(io.LimitReader(stdin, maxBody+1))
	if err == nil && len(content) > maxBody {
		err = fmt.Errorf("the body is longer than %d MiB", maxBody>>20)
	}
	return content, err
}

func writeExplanationJSON(w io.Writer, e proxy.Live) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	if err := out.Encode(e); err != nil {
		return failed(err)
	}
	return nil
}
