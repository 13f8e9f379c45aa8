package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sidecar/internal/openapi"
	"sidecar/internal/propose"
	"sidecar/policy"
	"sidecar/policy/yamldoc"
)

// initCommand writes a first policies file from an OpenAPI document.
func initCommand(c console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init [-o FILE] [--force] [--base PATH] DOCUMENT",
		Short: "writes a first policies file from an OpenAPI document",
		Long: "DOCUMENT is a file, an http or https URL, or - for the standard input; OpenAPI 3, " +
			"JSON or" +
			" YAML.\nLive routes are safe guesses; what is less certain is commented out, with " +
			"the reason.",
		Example: "  sidecar init openapi.yaml\n  curl -s http://127.0.0.1:3000/openapi.json |" +
			" sidecar init -o my-policies.yaml -",
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("name one OpenAPI document: a file, a URL, or - for the " +
					"standard input")
			}
			return nil
		},
	}
	to := outputFlags(c, cmd.Flags())
	base := cmd.Flags().String("base", "", "`PATH` before all paths, in place of that of the "+
		"document's servers")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *base != "" && !strings.HasPrefix(*base, "/") {
			return misused("--base is a path like /api/v1, not %q", *base)
		}
		if err := to.check(); err != nil {
			return err
		}
		content, err := readDocument(cmd.Context(), c, args[0])
		if err != nil {
			return failed(err)
		}
		name := withoutSecrets(args[0])
		doc, err := openapi.Read(name, content)
		if err != nil {
			return failed(err)
		}
		return to.write(c, openapi.Propose(filepath.Base(name), doc, *base))
	}
	return cmd
}

// documentTimeout bounds the download of a document.
const documentTimeout = 30 * time.Second

// readDocument reads a document, and a byte more than it may have if it is longer.
func readDocument(ctx context.Context, c console, from string) ([]byte, error) {
	limited := func(r io.Reader) ([]byte, error) {
		return io.ReadAll(io.LimitReader(r, openapi.MaxSize+1))
	}
	if from == "-" {
		return limited(c.stdin)
	}
	if !isURL(from) {
		f, err := os.Open(from)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return limited(f)
	}
	ctx, cancel := context.WithTimeout(ctx, documentTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, errors.New("it is no URL like " +
			"https://api.example/openapi.json") // err would quote it
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf(
			"%s: %w",
			withoutSecrets(from),
			errors.Unwrap(err),
		) // of a url.Error, which quotes it
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", withoutSecrets(from), response.Status)
	}
	return limited(response.Body)
}

func isURL(
	s string,
) bool {
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")
}

// withoutSecrets is the name of a document without the parts of a URL that may be secret.
func withoutSecrets(name string) string {
	if name == "-" {
		return "standard input"
	}
	scheme, rest, ok := strings.Cut(name, "://")
	if !ok || !isURL(name) {
		return name
	}
	rest, _, _ = strings.Cut(rest, "?")
	host, path, _ := strings.Cut(rest, "/")
	return scheme + "://" + host[strings.LastIndexByte(host, '@')+1:] + "/" + path
}

// An output is where a proposed policies file is written.
type output struct {
	file  string
	force bool
}

func outputFlags(c console, flags *pflag.FlagSet) *output {
	o := &output{}
	flags.StringVarP(&o.file, "output", "o", defaultPolicies(c.env), "`FILE` to write; - is the "+
		"standard output")
	flags.BoolVar(&o.force, "force", false, "replace FILE if it exists")
	return o
}

// check refuses a file that exists, before anything is done.
func (o *output) check() error {
	if _, err := os.Lstat(o.file); err == nil && o.file != "-" && !o.force {
		return failed(fmt.Errorf("%s exists: name another file by -o, or replace it by "+
			"--force", o.file))
	}
	return nil
}

// write writes the proposed file, if it has no faults, and reports it. Where it cannot be written
// to the file it goes to the standard output: a long watch is not lost.
func (o *output) write(c console, proposed *propose.File) error {
	content := proposed.Bytes()
	_, found, err := policy.Load(content, policy.Options{File: o.file})
	switch {
	case err != nil:
		_ = found.Write(c.stderr, yamldoc.Text)
		err = errors.New("what is proposed has faults: please report this")
	case o.file != "-":
		err = o.save(content)
	}
	if err != nil || o.file == "-" {
		_, werr := c.stdout.Write(content)
		if err = errors.Join(err, werr); err != nil {
			return failed(err)
		}
		return nil
	}
	live, suggested := proposed.Count()
	fmt.Fprintf(c.stdout, "%s: %d routes are live, %d are suggestions that are commented out.\n"+
		"Look at each, and then: sidecar validate %s\n", o.file, live, suggested, o.file)
	return nil
}

// save writes the file.
func (o *output) save(content []byte) error {
	how := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if o.force {
		how = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(o.file, how, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}
