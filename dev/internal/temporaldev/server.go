// Package temporaldev runs a whole Temporal server with its web UI inside this process, so that the product runs, and its
// end-to-end tests run, on a machine that has nothing but Go. State is one SQLite file, or memory.
//
// It has no authentication and therefore listens on loopback only. It is for development, demonstrations and tests.
package temporaldev

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/server/temporal"

	"github.com/tenderline/tenderline/dev/internal/ports"
)

// DefaultNamespace is there without being asked for.
const DefaultNamespace = "default"

// startTimeout bounds Start where its context has no deadline of its own; a start takes about a second.
const startTimeout = time.Minute

// Config says what to run. The zero value is a server in memory on free ports, without UI.
type Config struct {
	// Dir keeps the state (temporal.db) and the log (temporal.log) over restarts; it is created where it is missing.
	// Empty: state in memory, gone with the process.
	Dir string
	// FrontendAddr is where clients connect, as host:port on loopback; port 0, or an empty address, takes a free one.
	FrontendAddr string
	// UIAddr is where the web UI listens, likewise. Empty: no UI.
	UIAddr string
	// CodecEndpoint is the base URL of the remote codec (".../codec") that the UI's pages call from the browser to show
	// encrypted payloads. The codec must allow the UI's origin (UIURL) itself. Empty: none.
	CodecEndpoint string
	// Namespaces are registered beside DefaultNamespace.
	Namespaces []string
	// SearchAttributes are registered in every namespace: at the first start, and those that were added to the map since
	// at any later one. SQLite has a fixed number of columns per type (ten Keyword, three of each other), so more than
	// that is an error, and so is an attribute that is registered with another type.
	SearchAttributes map[string]enums.IndexedValueType
	// Logger takes the server's warnings and errors. nil: to temporal.log in Dir, or nowhere when in memory.
	Logger *slog.Logger
}

// Server is a running Temporal server. Stop it with Stop.
type Server struct {
	frontendAddr string
	uiAddr       string

	temporal temporal.Server
	ui       *webUI
	logger   *serverLogger
	closers  []func() error // what Stop releases last, in reverse order
	stopOnce sync.Once
}

// Start runs a server and returns once it serves workflows in every namespace and its UI answers. A busy port is an error
// that names it (see ports.BusyError), a directory that another process uses too.
func Start(ctx context.Context, cfg Config) (_ *Server, err error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, startTimeout)
		defer cancel()
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start temporal: %w", err)
	}
	layout, err := planAddresses(cfg)
	if err != nil {
		return nil, err
	}
	s := &Server{frontendAddr: layout.frontend.String(), uiAddr: layout.uiAddr()}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	if err := s.openDir(cfg); err != nil {
		return nil, err
	}
	store, err := openStore(cfg)
	if err != nil {
		return nil, err
	}
	if err := s.startTemporal(layout, store); err != nil {
		return nil, err
	}
	if err := s.awaitNamespaces(ctx, cfg); err != nil {
		return nil, err
	}
	if s.uiAddr != "" {
		if s.ui, err = startUI(ctx, layout, cfg.CodecEndpoint); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Addr is the frontend's host:port, for client.Options.HostPort.
func (s *Server) Addr() string { return s.frontendAddr }

// UIURL is the UI's base URL, which is also its browser origin; empty without UI.
func (s *Server) UIURL() string {
	if s.uiAddr == "" {
		return ""
	}
	return "http://" + s.uiAddr
}

// WorkflowURL is the UI's page of a workflow; without a run ID, of its latest run. Empty without UI.
func (s *Server) WorkflowURL(namespace, workflowID, runID string) string {
	if s.uiAddr == "" {
		return ""
	}
	page := s.UIURL() + "/namespaces/" + url.PathEscape(namespace) + "/workflows/" + url.PathEscape(workflowID)
	if runID != "" {
		page += "/" + url.PathEscape(runID) + "/history"
	}
	return page
}

// Stop ends the UI and the server, and frees the ports and the directory. State in memory is lost. Clients and workers
// should be closed before. A second Stop does nothing.
func (s *Server) Stop() {
	s.stopOnce.Do(func() {
		if s.ui != nil {
			s.ui.stop()
		}
		if s.temporal != nil {
			s.logger.quieten() // services that part from each other complain about it
			if err := s.temporal.Stop(); err != nil {
				s.logger.Error("stop temporal: " + err.Error())
			}
		}
		for i := len(s.closers) - 1; i >= 0; i-- {
			_ = s.closers[i]() // nothing is left to do about it
		}
	})
}

// openDir makes the directory, takes its lock and opens the log.
func (s *Server) openDir(cfg Config) error {
	if cfg.Logger != nil {
		s.logger = newServerLogger(cfg.Logger)
	} else {
		s.logger = newServerLogger(slog.New(slog.DiscardHandler))
	}
	if cfg.Dir == "" {
		return nil
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("create temporal directory: %w", err)
	}
	unlock, err := lockFile(filepath.Join(cfg.Dir, "temporal.lock"))
	if err != nil {
		return fmt.Errorf("lock temporal directory %s: %w", cfg.Dir, err)
	}
	s.closers = append(s.closers, unlock)
	if cfg.Logger != nil {
		return nil
	}
	file, err := os.OpenFile(filepath.Join(cfg.Dir, "temporal.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open temporal log: %w", err)
	}
	s.closers = append(s.closers, file.Close)
	s.logger = newServerLogger(slog.New(slog.NewTextHandler(file, &slog.HandlerOptions{Level: slog.LevelWarn})))
	return nil
}

func (s *Server) startTemporal(layout addresses, store *store) error {
	server, err := newTemporal(layout, store, s.logger)
	if err != nil {
		return fmt.Errorf("build temporal server: %w", err)
	}
	// The server knows no context, and half a start can't be undone: it is let through, in about 0.1 s, and ended by Stop.
	if err := server.Start(); err != nil {
		return fmt.Errorf("start temporal server: %w", err)
	}
	s.temporal = server
	return nil
}

// awaitNamespaces waits until the frontend serves every namespace, and registers what search attributes they lack.
func (s *Server) awaitNamespaces(ctx context.Context, cfg Config) error {
	c, err := client.DialContext(ctx, client.Options{
		HostPort: s.frontendAddr,
		Logger:   sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		return fmt.Errorf("connect to temporal: %w", err)
	}
	defer c.Close()
	for _, namespace := range namespaces(cfg) {
		if err := awaitNamespace(ctx, c.WorkflowService(), namespace); err != nil {
			return err
		}
		if err := ensureSearchAttributes(ctx, c, namespace, cfg.SearchAttributes); err != nil {
			return err
		}
	}
	return nil
}

// addresses are all the ports of one server; every service listens on the same loopback IP.
type addresses struct {
	frontend *net.TCPAddr
	ui       *net.TCPAddr // nil: no UI

	http, history, matching, worker int // ports; http is the frontend's HTTP API, which Nexus callbacks need
}

func (a addresses) uiAddr() string {
	if a.ui == nil {
		return ""
	}
	return a.ui.String()
}

func (a addresses) internal(port int) string {
	return net.JoinHostPort(a.frontend.IP.String(), strconv.Itoa(port))
}

// planAddresses resolves the given addresses, checks that they are loopback and free, and chooses the other ports.
func planAddresses(cfg Config) (addresses, error) {
	var plan addresses
	frontend, err := loopback(cfg.FrontendAddr)
	if err != nil {
		return plan, fmt.Errorf("temporal address: %w", err)
	}
	plan.frontend = frontend
	if cfg.UIAddr != "" {
		if plan.ui, err = loopback(cfg.UIAddr); err != nil {
			return plan, fmt.Errorf("temporal UI address: %w", err)
		}
	}
	if err := checkFree("temporal", plan.frontend); err != nil {
		return plan, err
	}
	if err := checkFree("temporal UI", plan.ui); err != nil {
		return plan, err
	}
	return plan, plan.fillIn()
}

// fillIn replaces every port that is still zero by a free one.
func (a *addresses) fillIn() error {
	free, err := ports.Free(a.frontend.IP.String(), 5)
	if err != nil {
		return err
	}
	a.http, a.history, a.matching, a.worker = free[0], free[1], free[2], free[3]
	if a.frontend.Port == 0 {
		a.frontend.Port = free[4]
	}
	if a.ui != nil && a.ui.Port == 0 {
		free, err := ports.Free(a.ui.IP.String(), 1)
		if err != nil {
			return err
		}
		a.ui.Port = free[0]
	}
	return nil
}

func checkFree(what string, addr *net.TCPAddr) error {
	if addr == nil || addr.Port == 0 {
		return nil
	}
	if err := ports.Check(addr.String()); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

var errNotLoopback = errors.New("not a loopback address: the embedded server has no authentication")

// loopback parses host:port; "localhost" is 127.0.0.1, because the server binds IP addresses only.
func loopback(addr string) (*net.TCPAddr, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip := net.ParseIP(host)
	if ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("%s: %w", addr, errNotLoopback)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%s: port must be a number from 0 to 65535", addr)
	}
	return &net.TCPAddr{IP: ip, Port: int(number)}, nil
}
