package temporaldev

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
)

type webUI struct {
	server  *uiserver.Server
	stopped chan struct{} // closed when the server's Start has returned
}

// startUI serves the UI's pages and its API, and returns once they answer.
func startUI(ctx context.Context, layout addresses, codecEndpoint string) (*webUI, error) {
	ui := &webUI{stopped: make(chan struct{}), server: uiserver.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
		Host:                hostForURL(layout.ui.IP.String()),
		Port:                layout.ui.Port,
		TemporalGRPCAddress: layout.frontend.String(),
		EnableUI:            true,
		DefaultNamespace:    DefaultNamespace,
		// No access token exists that the UI could pass on: the codec endpoint decides by the UI's origin.
		Codec:            uiconfig.Codec{Endpoint: codecEndpoint, PassAccessToken: false},
		CORS:             uiconfig.CORS{CookieInsecure: true}, // plain HTTP on loopback
		DisableNewsFetch: true,                                // no calls home
		HideLogs:         true,
	}))}
	go func() {
		defer close(ui.stopped)
		// The UI ends the process itself when it can't bind its port, which is why the port was checked before.
		_ = ui.server.Start()
	}()
	if err := awaitHTTP(ctx, "http://"+layout.ui.String()+"/healthz"); err != nil {
		ui.stop()
		return nil, fmt.Errorf("start temporal UI: %w", err)
	}
	return ui, nil
}

func (ui *webUI) stop() {
	ui.server.Stop()
	<-ui.stopped
}

// awaitHTTP polls until a GET answers 200.
func awaitHTTP(ctx context.Context, address string) error {
	poll := http.Client{Timeout: 2 * time.Second}
	for {
		err := getOK(ctx, &poll, address)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (last answer: %w)", ctx.Err(), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func getOK(ctx context.Context, with *http.Client, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := with.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20)) // so that the connection is reused
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", address, response.Status)
	}
	return nil
}

// hostForURL puts an IPv6 address in brackets, as the UI joins host and port by itself.
func hostForURL(ip string) string {
	for _, char := range ip {
		if char == ':' {
			return "[" + ip + "]"
		}
	}
	return ip
}
