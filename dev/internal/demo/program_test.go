package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/dev/internal/ports"
	"github.com/tenderline/tenderline/dev/internal/samples"
	"github.com/tenderline/tenderline/dev/internal/stack"
	"github.com/tenderline/tenderline/dev/internal/world"
)

// freeOffset is an offset at which every port is free now.
func freeOffset(t *testing.T) string {
	t.Helper()
	for offset := 20000 + os.Getpid()%10000; offset < maxOffset; offset += 17 {
		p := stack.DefaultPorts(offset)
		var addresses []string
		for _, port := range []int{p.Temporal, p.UI, p.API, p.Metrics, p.Gateway, p.ERP, p.Shop, p.Sagepro} {
			addresses = append(addresses, fmt.Sprintf("127.0.0.1:%d", port))
		}
		if ports.CheckAll(addresses...) == nil {
			return fmt.Sprint(offset)
		}
	}
	t.Fatal("no free ports")
	return ""
}

// TestDemoSucceedsWhereEveryOrderEndsAsExpected plays the samples in both ERPs at once, the day posted in SYSPRO, and in Sage Pro alone. That they end alike
// in SYSPRO alone is seen where one is to differ.
func TestDemoSucceedsWhereEveryOrderEndsAsExpected(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a server")
	}
	for erp, booked := range map[string][]world.ERP{"all": {world.Syspro(""), world.Sagepro("")}, "sagepro": {world.Sagepro("")}} {
		t.Run(erp, func(t *testing.T) {
			var out, problems bytes.Buffer
			status := Main(t.Context(), []string{"--demo", "--erp", erp, "--port-offset", freeOffset(t)}, nil, &out, &problems)
			require.Zero(t, status, "%s\n%s", lastWords(out.String()), problems.String())
			require.Contains(t, lastWords(out.String()), fmt.Sprintf("All %d orders and every check came out as expected", len(samples.All(booked...))))
			_, _, differs := strings.Cut(out.String(), "DIFFERS")
			require.False(t, differs, "a difference is not in the summary")
		})
	}
}

// lastWords is the end of a run's output: what differs, where something does, else the last line.
func lastWords(output string) string {
	if _, differences, differs := strings.Cut(output, notAsExpected); differs {
		return notAsExpected + differences
	}
	lines := strings.Split(strings.TrimSpace(output), "\n")
	return lines[len(lines)-1]
}

func TestDemoFailsWhereAnOrderEndsOtherwise(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a server")
	}
	var out, problems bytes.Buffer
	policy := []string{"TENDERLINE_POLICY_STOCK=backorder"} // what is out of stock is then sold nevertheless
	status := Main(t.Context(), []string{"--demo", "--port-offset", freeOffset(t)}, policy, &out, &problems)
	require.Equal(t, exitFailed, status)
	end := lastWords(out.String())
	require.Contains(t, end, "(Out of stock): order status: confirmed, expected rejected")
	require.Contains(t, end, fmt.Sprintf("%s 1 of %d orders differ, checks that failed: 0.", notAsExpected, len(samples.All(world.Syspro("")))))
}

// lockedBuffer is written by the program while the test reads it.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

func TestItStaysUpUntilItIsEndedAndStartsAgainOnItsState(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a server")
	}
	dir, offset := t.TempDir(), freeOffset(t)
	for range 2 {
		ctx, end := context.WithCancel(t.Context())
		var out, problems lockedBuffer
		status := make(chan int, 1)
		go func() {
			status <- Main(ctx, []string{"--no-samples", "--data", dir, "--port-offset", offset}, nil, &out, &problems)
		}()
		require.Eventually(t, func() bool { return strings.Contains(out.String(), "Everything runs.") }, 3*time.Minute, 50*time.Millisecond)
		require.Empty(t, status)
		end()
		require.Zero(t, <-status, problems.String())
		require.Contains(t, out.String(), "Stopping ...")
	}
}

func TestABusyPortIsNamedWithAWayOut(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	port := listener.Addr().(*net.TCPAddr).Port
	offset := port - stack.DefaultPorts(0).Temporal
	if offset < 0 || offset > maxOffset {
		t.Skipf("port %d can't be one of Temporal's", port)
	}
	var problems bytes.Buffer
	status := Main(t.Context(), []string{"--no-samples", "--data", t.TempDir(), "--port-offset", fmt.Sprint(offset)}, nil, io.Discard, &problems)
	require.Equal(t, exitFailed, status)
	require.Contains(t, problems.String(), fmt.Sprintf("127.0.0.1:%d is in use", port))
	require.Contains(t, problems.String(), fmt.Sprintf("make run OFFSET=%d", offset+100))
}
