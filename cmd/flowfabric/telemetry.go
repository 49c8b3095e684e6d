package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
)

// spans exports spans as the OTEL_ variables of the environment say.
type spans struct{ provider *trace.TracerProvider }

// newSpans returns what exports spans; nil if nobody is named who takes them. Of the variables of OpenTelemetry this reads
// those that say whether and where; endpoint, headers, certificates, sampler, batches and resource are read by its SDK.
func newSpans(ctx context.Context, version string) (*spans, error) {
	if !exporting(os.Getenv) {
		return nil, nil
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if v := os.Getenv(name); v != "" && v != "http/protobuf" {
			return nil, fmt.Errorf("%s is %q: spans go out as http/protobuf alone", name, v)
		}
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("export spans, as OTEL_EXPORTER_OTLP_ENDPOINT says: %w", err)
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "flowfabric"), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv(), // the last counts
	)
	if err != nil {
		return nil, fmt.Errorf("read OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return &spans{trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(about))}, nil
}

// exporting reports whether an environment asks for spans.
func exporting(env func(string) string) bool {
	exporters := strings.Split(env("OTEL_TRACES_EXPORTER"), ",")
	switch {
	case strings.EqualFold(env("OTEL_SDK_DISABLED"), "true"), slices.Contains(exporters, "none"):
		return false
	case slices.Contains(exporters, "otlp"):
		return true
	default:
		return env("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
	}
}

// close exports what is left, until ctx ends.
func (s *spans) close(ctx context.Context) error {
	if s == nil {
		return nil
	}
	if err := s.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("export the last spans: %w", err)
	}
	return nil
}
