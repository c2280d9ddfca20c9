package cli

import (
	"encoding/json"
	"os"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/config"
)

func TestTheReferenceOfSettingsIsUpToDate(t *testing.T) {
	want, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	var text strings.Builder
	require.NoError(t, writeMarkdown(&text))
	if text.String() != string(want) { // a diff of the whole file would hide what to do
		t.Fatal("docs/configuration.md is not up to date; run: go run . config --markdown > docs/configuration.md")
	}
}

func TestTheReferenceShowsNothingOfThisMachine(t *testing.T) {
	clean := execute(t, nil, "", "config", "--markdown")
	require.Equal(t, clean, execute(t, map[string]string{"TENDERLINE_DEPLOYMENT": "ours", variableAPIKey: "k"}, "", "config", "--markdown"))
}

func TestConfigListsEverySettingOnce(t *testing.T) {
	got := execute(t, map[string]string{"TENDERLINE_DEPLOYMENT": "ours", "TEMPORAL_ADDRESS": "temporal:7233"}, "", "config", "-o", "json")
	require.Equal(t, ExitOK, got.code, got.stderr)
	var list []config.Variable
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &list))
	byName := map[string]config.Variable{}
	for _, v := range list {
		require.NotContains(t, byName, v.Name)
		require.NotEmpty(t, v.Meaning, v.Name)
		byName[v.Name] = v
	}
	require.Equal(t, "ours", byName["TENDERLINE_DEPLOYMENT"].Value)
	require.Equal(t, "tenderline", byName["TENDERLINE_DEPLOYMENT"].Default)
	require.Equal(t, "temporal:7233", byName["TEMPORAL_ADDRESS"].Value)
	require.Equal(t, defaultAPI, byName[variableAPI].Value)
}

func TestConfigTellsWhatIsWrong(t *testing.T) {
	got := execute(t, map[string]string{"TENDERLINE_LOG_LEVEL": "loud", "TENDERLINE_ERP": "abacus"}, "", "config")
	require.Equal(t, ExitFailure, got.code)
	require.Contains(t, got.stdout, "TENDERLINE_DATABASE_DSN")
	require.Equal(t, 2, strings.Count(got.stderr, "tenderline: TENDERLINE_"))
}

// TestSecretsAreNeverPrinted sets every secret and runs whatever prints settings, or fails on them.
func TestSecretsAreNeverPrinted(t *testing.T) {
	const secret = "hush-hush-hush"
	env := map[string]string{}
	secrets := 0
	for _, v := range append(append(config.Variables(config.Map(nil)), commandVariables...), temporalVariables...) {
		if v.Secret {
			env[v.Name] = secret
			secrets++
		}
	}
	require.GreaterOrEqual(t, secrets, 10)
	env["TENDERLINE_DATABASE_DSN"] = "postgres://tenderline:" + secret + "@127.0.0.1:1/none?connect_timeout=1"
	for _, args := range [][]string{
		{"config"}, {"config", "-o", "json"}, {"config", "--markdown"}, {"worker"}, {"webhook"}, {"setup"}, {"check", "--timeout", "2s"},
		{"check", "-o", "json", "--timeout", "2s"}, {"order", "list", "--api", "http://127.0.0.1:1"},
	} {
		got := execute(t, env, "", args...)
		require.NotEmpty(t, got.stdout+got.stderr, args)
		require.NotContains(t, got.stdout+got.stderr, secret, args)
	}
}

func TestVersion(t *testing.T) {
	require.Equal(t, ExitOK, execute(t, nil, "", "version").code)
	b := buildOf(&debug.BuildInfo{
		Main: debug.Module{Version: "v1.2.3"}, Deps: []*debug.Module{{Path: "go.temporal.io/sdk", Version: "v1.50.0"}},
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-11-20T00:00:00Z"}, {Key: "vcs.modified", Value: "true"}},
	})
	require.Equal(t, build{Version: "v1.2.3", Revision: "abc", Time: "2026-11-20T00:00:00Z", Modified: true, Go: b.Go, Platform: b.Platform, Temporal: "v1.50.0"}, b)
	require.Equal(t, "unknown", buildOf(nil).Version)
}

func TestTextsFromOutsideCanNotSteerATerminal(t *testing.T) {
	require.Equal(t, "a b c[2Jd", printable("a\tb\nc\x1b[2Jd\u202e\u0085"))
}
