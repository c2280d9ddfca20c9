package demo

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseReadsFlags(t *testing.T) {
	o, err := parse([]string{"--data", "here", "--port-offset", "100", "--demo"}, nil, io.Discard)
	require.NoError(t, err)
	require.Equal(t, options{dir: "here", offset: 100, demo: true, erp: "syspro", settings: map[string]string{}}, o)
}

func TestParseRefuses(t *testing.T) {
	tests := map[string][]string{
		"an argument":            {"run"},
		"an unknown flag":        {"--fast"},
		"a negative offset":      {"--port-offset", "-1"},
		"ports beyond the last":  {"--port-offset", "56432"},
		"samples without orders": {"--demo", "--no-samples"},
		"an unknown ERP":         {"--erp", "sap"},
	}
	for name, args := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parse(args, nil, io.Discard)
			require.Error(t, err)
		})
	}
}

func TestHelpIsNoError(t *testing.T) {
	var help bytes.Buffer
	_, err := parse([]string{"-h"}, nil, &help)
	require.ErrorIs(t, err, flag.ErrHelp)
	require.Contains(t, help.String(), "-port-offset")
	require.Zero(t, Main(t.Context(), []string{"-h"}, nil, io.Discard, io.Discard))
}

func TestPoliciesOfTheCallerCount(t *testing.T) {
	settings, ignored, err := overrides([]string{
		"HOME=/root", "TENDERLINE_POLICY_STOCK=backorder", "TENDERLINE_CYBERSOURCE_TIMEOUT=5s", "TENDERLINE_LOG_LEVEL=",
		"TENDERLINE_MAPPINGS_DIR=/our/mappings",
	})
	require.NoError(t, err)
	require.Equal(t, map[string]string{
		"TENDERLINE_POLICY_STOCK": "backorder", "TENDERLINE_CYBERSOURCE_TIMEOUT": "5s", "TENDERLINE_MAPPINGS_DIR": "/our/mappings",
	}, settings)
	require.Empty(t, ignored)
}

// TestARealDeploymentIsOutOfReach: the shell that this is started from may hold the settings of one.
func TestARealDeploymentIsOutOfReach(t *testing.T) {
	deployment := []string{
		"TENDERLINE_API_KEYS", "TENDERLINE_CALLBACK_SECRET", "TENDERLINE_CALLBACK_URL", "TENDERLINE_CODEC_ORIGINS", "TENDERLINE_CYBERSOURCE_BASE_URL",
		"TENDERLINE_CYBERSOURCE_KEY_ID", "TENDERLINE_CYBERSOURCE_MERCHANT_ID", "TENDERLINE_CYBERSOURCE_P12_FILE", "TENDERLINE_CYBERSOURCE_SHARED_SECRET",
		"TENDERLINE_DATABASE_DSN", "TENDERLINE_DATABASE_ERP_DSN", "TENDERLINE_DEPLOYMENT", "TENDERLINE_ENCRYPTION_KEYS", "TENDERLINE_ERP",
		"TENDERLINE_SAGEPRO_DRIVER", "TENDERLINE_SAGEPRO_DSN", "TENDERLINE_SETTLEMENT_ERP", "TENDERLINE_SYSPRO_BASE_URL", "TENDERLINE_SYSPRO_CLIENT_SECRET",
	}
	environ := make([]string, len(deployment))
	for i, name := range deployment {
		environ[i] = name + "=production"
	}
	settings, ignored, err := overrides(environ)
	require.NoError(t, err)
	require.Empty(t, settings)
	require.Equal(t, deployment, ignored)
}

func TestNothingListensBeyondLoopback(t *testing.T) {
	for _, address := range []string{":8080", "0.0.0.0:8080", "192.0.2.1:8080", "[::]:8080", "shop.example:8080", "8080"} {
		for _, name := range []string{"TENDERLINE_HTTP_ADDRESS", "TENDERLINE_METRICS_ADDRESS"} {
			var stderr bytes.Buffer
			require.Equal(t, exitUsage, Main(t.Context(), []string{"--demo"}, []string{name + "=" + address}, io.Discard, &stderr))
			require.Contains(t, stderr.String(), name)
		}
	}
	settings, ignored, err := overrides([]string{"TENDERLINE_HTTP_ADDRESS=127.0.0.1:9999"})
	require.NoError(t, err)
	require.Empty(t, settings)
	require.Equal(t, []string{"TENDERLINE_HTTP_ADDRESS"}, ignored)
}

func TestStateIsWhereItIsExpected(t *testing.T) {
	given := options{dir: filepath.Join(t.TempDir(), "new", "one"), demo: true}
	require.NoError(t, given.prepareDir())
	require.DirExists(t, given.dir)
	require.False(t, given.temporary)

	fresh := options{demo: true}
	require.NoError(t, fresh.prepareDir())
	require.DirExists(t, fresh.dir)
	require.True(t, fresh.temporary)
	require.NoError(t, os.Remove(fresh.dir))
}

func TestTheRepositoryIsFoundFromBelow(t *testing.T) {
	require.FileExists(t, filepath.Join(repository(), "dev", "main.go"))
	elsewhere := t.TempDir()
	t.Chdir(elsewhere)
	require.Equal(t, elsewhere, repository())
}
