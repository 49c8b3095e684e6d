package config

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
)

// prefix of the names this package looks at.
const prefix = "FF_"

// Error is a variable with a value that is no good.
type Error struct {
	Var     string
	Message string // never contains a secret
}

// Error implements error, in the form of chapter 70, section 8.
func (e *Error) Error() string { return "invalid value for " + e.Var + ": " + e.Message }

// Load reads an environment as [os.Environ] has it. Warnings are about variables that have no effect. An error is an [*Error].
// An empty variable is one that is not set, except where that would undo a protection.
func Load(environ []string) (cfg Server, warnings []string, err error) {
	vars := variables(environ)
	warnings = withoutEffect(vars)
	if err := readFiles(vars); err != nil {
		return Server{}, warnings, err
	}
	if err := checkEmpty(vars); err != nil {
		return Server{}, warnings, err
	}
	if old := vars[aliasTail]; vars[streamOps] == "" && old != "" {
		vars[streamOps] = old
	}
	if err := env.ParseWithOptions(&cfg, env.Options{Environment: vars}); err != nil {
		return Server{}, warnings, translate(err, vars)
	}
	if err := cfg.complete(); err != nil {
		return Server{}, warnings, err
	}
	return cfg, warnings, nil
}

// Names whose value is replaced before it is parsed.
const (
	streamOps = "FF_MAX_CONCURRENT_STREAM_OPS"
	aliasTail = "FF_MAX_CONCURRENT_TAIL" // the older name of streamOps
)

// secretFiles are the variables that may instead be read from the file that the name with _FILE behind it says.
var secretFiles = []string{"FF_API_TOKEN", "FF_WAITPOINT_HMAC_SECRET", "FF_STORE_URL", "FF_POSTGRES_URL"}

func variables(environ []string) map[string]string {
	vars := make(map[string]string)
	for _, line := range environ {
		if name, value, _ := strings.Cut(line, "="); strings.HasPrefix(name, prefix) {
			vars[name] = value
		}
	}
	return vars
}

func readFiles(vars map[string]string) error {
	for _, name := range secretFiles {
		file := name + "_FILE"
		path := vars[file]
		if path == "" {
			continue
		}
		if vars[name] != "" {
			return &Error{file, name + " is set, too; set one of them"}
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return &Error{file, err.Error()}
		}
		if vars[name] = strings.TrimSpace(string(text)); vars[name] == "" {
			return &Error{file, path + " is empty"}
		}
	}
	return nil
}

// checkEmpty refuses variables that are set to nothing where somebody may think that protects, and drops all others.
func checkEmpty(vars map[string]string) error {
	for _, name := range []string{"FF_WAITPOINT_HMAC_SECRET", "FF_CORS_ORIGINS"} {
		if value, set := vars[name]; set && strings.TrimSpace(value) == "" {
			return &Error{name, "must not be empty"}
		}
	}
	for name, value := range vars {
		if value == "" {
			delete(vars, name)
		}
	}
	return nil
}

// translate says what is wrong in the words of chapter 70, section 8, without the Go of it.
func translate(err error, vars map[string]string) error {
	var all env.AggregateError
	if errors.As(err, &all) && len(all.Errors) > 0 {
		err = all.Errors[0]
	}
	var parse env.ParseError
	if !errors.As(err, &parse) {
		return fmt.Errorf("read the environment: %w", err)
	}
	field, _ := reflect.TypeFor[Server]().FieldByName(parse.Name)
	name := field.Tag.Get("env")
	switch parse.Type.Kind() {
	case reflect.Uint16:
		return &Error{name, fmt.Sprintf("expected u16, got '%s'", clip(vars[name]))}
	case reflect.Uint32:
		return &Error{name, fmt.Sprintf("expected u32, got '%s'", clip(vars[name]))}
	default:
		if parse.Type == reflect.TypeFor[slog.Level]() {
			return &Error{name, fmt.Sprintf("unknown level '%s': expected 'debug', 'info', 'warn' or 'error'", clip(vars[name]))}
		}
		return &Error{name, parse.Err.Error()}
	}
}

// retired are variables of other servers of this API that mean nothing here.
var retired = []string{
	"FF_HOST", "FF_PORT", "FF_TLS", "FF_CLUSTER", "FF_DEV_MODE", "FF_FORCE_LUA_RELOAD", "FF_ENV", "FF_BACKEND_ACCEPT_UNREADY",
	"FF_SQLITE_POOL_SIZE", "FF_SENTRY_DSN", "FF_SENTRY_ENVIRONMENT", "FF_SENTRY_RELEASE",
}

// ofClients are variables that clients read.
var ofClients = []string{"FF_SERVER", "FF_TOKEN"}

// withoutEffect says which variables mean nothing, in order of their names.
func withoutEffect(vars map[string]string) []string {
	known := append([]string{aliasTail}, ofClients...)
	for _, v := range Variables() {
		known = append(known, v.Name)
	}
	for _, name := range secretFiles {
		known = append(known, name+"_FILE")
	}
	var warnings []string
	for name := range vars {
		switch {
		case slices.Contains(known, name):
		case slices.Contains(retired, name):
			warnings = append(warnings, name+" has no effect on this server")
		case strings.HasSuffix(name, "_INTERVAL_MS"), strings.HasSuffix(name, "_INTERVAL_S"):
			warnings = append(warnings, name+" has no effect: one loop carries on what is due, when it is due")
		default:
			warnings = append(warnings, name+" is unknown; is it misspelled?")
		}
	}
	slices.Sort(warnings)
	return warnings
}
