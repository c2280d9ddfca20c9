// Package engine is the connection to Temporal: where the server is, how payloads are sealed, and what the server must know before
// anything starts.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"

	"github.com/tenderline/tenderline/internal/keyring"
)

// Options of a connection. Address, namespace, TLS and API key come from the SDK's own settings: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE,
// TEMPORAL_TLS_..., TEMPORAL_API_KEY, or a profile of the Temporal command line.
type Options struct {
	Keyring      *keyring.Ring                   // required: seals payloads
	Env          envconfig.EnvLookup             // default: the process's environment
	Address      string                          // instead of TEMPORAL_ADDRESS
	Namespace    string                          // instead of TEMPORAL_NAMESPACE
	Identity     string                          // shown in the Temporal UI; default: the SDK's, process and host
	Logger       *slog.Logger                    // default: nothing is logged
	Metrics      client.MetricsHandler           // default: none
	Interceptors []interceptor.ClientInterceptor // tracing; one that is a worker interceptor too serves workers made of this client
}

// Connection is a client with the namespace it works in.
type Connection struct {
	client.Client
	Namespace string
}

// Dial connects and proves that the server answers.
func Dial(ctx context.Context, options Options) (*Connection, error) {
	settings, err := clientOptions(options)
	if err != nil {
		return nil, err
	}
	c, err := client.DialContext(ctx, settings)
	if err != nil {
		return nil, fmt.Errorf("connect to temporal at %s: %w", settings.HostPort, err)
	}
	return &Connection{Client: c, Namespace: settings.Namespace}, nil
}

// Check tells whether the server answers and knows the search attributes: what readiness asks.
func (c *Connection) Check(ctx context.Context, want []temporal.SearchAttributeKey) error {
	return CheckSearchAttributes(ctx, c.Client, c.Namespace, want)
}

// clientOptions joins the SDK's settings and ours.
func clientOptions(options Options) (client.Options, error) {
	if options.Keyring == nil {
		return client.Options{}, errors.New("connect to temporal: a key ring is required")
	}
	settings, err := envconfig.LoadClientOptions(envconfig.LoadClientOptionsRequest{EnvLookup: options.Env})
	if err != nil {
		return client.Options{}, fmt.Errorf("read temporal settings: %w", err)
	}
	if options.Address != "" {
		settings.HostPort = options.Address
	}
	if settings.HostPort == "" {
		settings.HostPort = client.DefaultHostPort
	}
	if options.Namespace != "" {
		settings.Namespace = options.Namespace
	}
	if settings.Namespace == "" {
		settings.Namespace = client.DefaultNamespace
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	settings.Identity = options.Identity
	settings.Logger = sdklog.NewStructuredLogger(options.Logger)
	settings.MetricsHandler = options.Metrics
	settings.Interceptors = options.Interceptors
	settings.DataConverter = DataConverter(options.Keyring)
	settings.FailureConverter = FailureConverter(options.Keyring)
	return settings, nil
}

// DataConverter is the SDK's own, with every payload sealed under the ring's primary key.
func DataConverter(ring *keyring.Ring) converter.DataConverter {
	return converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), Codec(ring))
}

// FailureConverter seals messages and stack traces of failures too: they may quote what was sent.
func FailureConverter(ring *keyring.Ring) converter.FailureConverter {
	return temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{
		DataConverter:          DataConverter(ring),
		EncodeCommonAttributes: true,
	})
}
