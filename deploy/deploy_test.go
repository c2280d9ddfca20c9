// Package deploy_test holds the deployment's files against the programs that they run: no container engine is needed.
package deploy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/tenderline/tenderline/internal/config"
)

// compose is what of docker-compose.yml this project uses; any other field is an error.
type compose struct {
	Name     string             `yaml:"name"`
	Hardened yaml.Node          `yaml:"x-hardened"`
	Product  yaml.Node          `yaml:"x-tenderline"`
	Settings map[string]string  `yaml:"x-settings"`
	Services map[string]service `yaml:"services"`
	Networks map[string]struct {
		Internal bool `yaml:"internal"`
	} `yaml:"networks"`
	Volumes map[string]struct{} `yaml:"volumes"`
}

type service struct {
	Image string `yaml:"image"`
	Build struct {
		Context    string `yaml:"context"`
		Dockerfile string `yaml:"dockerfile"`
	} `yaml:"build"`
	User        string            `yaml:"user"`
	Entrypoint  []string          `yaml:"entrypoint"`
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"`
	Ports       []string          `yaml:"ports"`
	Networks    []string          `yaml:"networks"`
	Volumes     []string          `yaml:"volumes"`
	Tmpfs       []string          `yaml:"tmpfs"`
	DependsOn   map[string]struct {
		Condition string `yaml:"condition"`
	} `yaml:"depends_on"`
	Healthcheck struct {
		Test        []string `yaml:"test"`
		Interval    string   `yaml:"interval"`
		Timeout     string   `yaml:"timeout"`
		Retries     int      `yaml:"retries"`
		StartPeriod string   `yaml:"start_period"`
	} `yaml:"healthcheck"`
	Restart         string    `yaml:"restart"`
	ReadOnly        bool      `yaml:"read_only"`
	CapDrop         []string  `yaml:"cap_drop"`
	CapAdd          []string  `yaml:"cap_add"`
	SecurityOpt     []string  `yaml:"security_opt"`
	ShmSize         string    `yaml:"shm_size"`
	StopGracePeriod string    `yaml:"stop_grace_period"`
	Logging         yaml.Node `yaml:"logging"`
}

// strictly decodes one YAML document; unknown fields, repeated keys and further documents are errors.
func strictly(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(into), path)
	require.ErrorIs(t, decoder.Decode(new(yaml.Node)), io.EOF, path)
}

func stack(t *testing.T) compose {
	t.Helper()
	var c compose
	strictly(t, "../docker-compose.yml", &c)
	require.NotEmpty(t, c.Services)
	return c
}

func TestEveryYAMLFileIsOneDocument(t *testing.T) {
	found := 0
	require.NoError(t, filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if ext := filepath.Ext(path); ext == ".yml" || ext == ".yaml" {
			found++
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			decoder := yaml.NewDecoder(bytes.NewReader(text))
			if err := decoder.Decode(new(map[string]any)); !errors.Is(err, io.EOF) { // a file of comments alone is empty
				require.NoError(t, err, path)
				require.ErrorIs(t, decoder.Decode(new(yaml.Node)), io.EOF, path)
			}
		}
		return err
	}))
	require.GreaterOrEqual(t, found, 5)
}

var pinned = regexp.MustCompile(`^[a-z0-9./-]+:v?\d+\.\d+(\.\d+)?(-[a-z0-9.]+)?$`)

func TestImagesArePinned(t *testing.T) {
	for name, s := range stack(t).Services {
		if s.Build.Dockerfile != "" {
			require.Equal(t, "tenderline:dev", s.Image, "%s: the image that is built here", name)
			require.FileExists(t, filepath.Join("..", s.Build.Context, s.Build.Dockerfile))
			continue
		}
		require.Regexp(t, pinned, s.Image, name)
	}
}

func TestServicesAreHardened(t *testing.T) {
	for name, s := range stack(t).Services {
		require.True(t, s.ReadOnly, name)
		require.Equal(t, []string{"ALL"}, s.CapDrop, name)
		require.Empty(t, s.CapAdd, name)
		require.Equal(t, []string{"no-new-privileges:true"}, s.SecurityOpt, name)
		for _, port := range s.Ports {
			require.True(t, strings.HasPrefix(port, "127.0.0.1:"), "%s publishes %s", name, port)
		}
		for _, volume := range s.Volumes {
			if strings.HasPrefix(volume, ".") {
				source, rest, _ := strings.Cut(volume, ":")
				require.True(t, strings.HasSuffix(rest, ":ro"), "%s may write to %s", name, source)
				_, err := os.Stat(filepath.Join("..", source))
				require.NoError(t, err, name)
			}
		}
	}
}

func TestNetworksKeepPartsApart(t *testing.T) {
	c := stack(t)
	require.True(t, c.Networks["database"].Internal)
	for name, s := range c.Services {
		require.NotEmpty(t, s.Networks, "%s would be on the default network", name)
		for _, network := range s.Networks {
			require.Contains(t, c.Networks, network, name)
		}
		if slices.Contains(s.Networks, "database") {
			require.Contains(t, []string{"postgres", "temporal-schema", "temporal", "setup", "worker", "webhook"}, name)
		}
		published := slices.ContainsFunc(s.Networks, func(network string) bool { return !c.Networks[network].Internal })
		require.True(t, len(s.Ports) == 0 || published, "%s publishes a port, and has internal networks alone", name)
	}
	require.Equal(t, []string{"database"}, c.Services["postgres"].Networks)
}

func TestServicesWaitForWhatTheyNeed(t *testing.T) {
	c := stack(t)
	for name, s := range c.Services {
		for other, wait := range s.DependsOn {
			require.Contains(t, c.Services, other, name)
			switch wait.Condition {
			case "service_healthy":
				require.NotEmpty(t, c.Services[other].Healthcheck.Test, "%s waits for the health of %s, which has no check", name, other)
			case "service_completed_successfully":
				require.Equal(t, "on-failure:3", c.Services[other].Restart, "%s waits for the end of %s, which runs for ever", name, other)
			default:
				t.Errorf("%s waits for %q of %s", name, wait.Condition, other)
			}
		}
		if s.Restart != "on-failure:3" {
			require.NotEmpty(t, s.Healthcheck.Test, "%s stays up without a health check", name)
		}
	}
	for _, name := range []string{"worker", "webhook"} {
		require.Contains(t, c.Services[name].DependsOn, "setup")
	}
}

var secretName = regexp.MustCompile(`(PASSWORD|PWD|SECRET|_KEYS?|DSN)$`)

var insertion = regexp.MustCompile(`\$\{([A-Z_]+)(:[?-])([^}]*)\}`)

func TestSecretsComeFromTheEnvironmentAlone(t *testing.T) {
	seen := 0
	for name, s := range stack(t).Services {
		for variable, value := range s.Environment {
			if !secretName.MatchString(variable) {
				continue
			}
			seen++
			places := insertion.FindAllStringSubmatch(value, -1)
			require.NotEmpty(t, places, "%s: %s is written out", name, variable)
			for _, place := range places {
				require.True(t, place[2] == ":?" || place[3] == "", "%s: %s has a default for a secret", name, variable)
			}
			if !strings.HasSuffix(variable, "DSN") {
				require.Equal(t, places[0][0], value, "%s: %s holds more than what it is given", name, variable)
			}
		}
	}
	require.Greater(t, seen, 15)
}

func TestEnvironmentExampleHoldsNoValue(t *testing.T) {
	wanted := map[string]bool{}
	text, err := os.ReadFile("../docker-compose.yml")
	require.NoError(t, err)
	for _, place := range insertion.FindAllStringSubmatch(string(text), -1) {
		if place[2] == ":?" {
			wanted[place[1]] = true
		}
	}
	example, err := os.ReadFile("env.example")
	require.NoError(t, err)
	named := map[string]bool{}
	for line := range strings.Lines(string(example)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			name, value, found := strings.Cut(line, "=")
			require.True(t, found, line)
			require.Empty(t, value, name)
			named[name] = true
		}
	}
	for name := range wanted {
		require.True(t, named[name], "env.example lacks %s", name)
	}
	for name := range newEnvironment(t) {
		require.True(t, named[name], "new-env sets %s, which env.example does not explain", name)
	}
	ignored, err := os.ReadFile("../.gitignore")
	require.NoError(t, err)
	require.Contains(t, strings.Split(string(ignored), "\n"), "/.env")
}

// newEnvironment is what deploy/new-env prints.
func newEnvironment(t *testing.T) map[string]string {
	t.Helper()
	out, err := exec.Command("sh", "./new-env").Output()
	require.NoError(t, err)
	values := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, value, found := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		require.True(t, found, "a line without a value")
		require.NotContains(t, value, "$", "compose would expand it")
		require.NotContains(t, value, " ")
		values[name] = value
	}
	return values
}

// resolved is a service's environment as compose makes it of a .env file.
func resolved(t *testing.T, s service, env map[string]string) map[string]string {
	t.Helper()
	values := map[string]string{}
	for name, value := range s.Environment {
		values[name] = insertion.ReplaceAllStringFunc(value, func(place string) string {
			parts := insertion.FindStringSubmatch(place)
			if set := env[parts[1]]; set != "" {
				return set
			}
			require.Equal(t, ":-", parts[2], "%s is required, and not set", parts[1])
			return parts[3]
		})
		require.NotContains(t, values[name], "${", name)
	}
	return values
}

func TestSettingsExistAndSuffice(t *testing.T) {
	known := map[string]bool{}
	for _, variable := range config.Variables(config.Map(nil)) {
		known[variable.Name] = true
	}
	c := stack(t)
	for name, s := range c.Services {
		for variable := range s.Environment {
			if strings.HasPrefix(variable, config.Prefix+"_") {
				require.True(t, known[variable], "%s sets %s, which nobody reads", name, variable)
			}
		}
	}
	first, second := newEnvironment(t), newEnvironment(t)
	require.NotEqual(t, first["TENDERLINE_ENCRYPTION_KEYS"], second["TENDERLINE_ENCRYPTION_KEYS"], "secrets are new every time")
	for name, uses := range map[string][]config.Use{
		"setup":   {config.UseJournal},
		"worker":  {config.UseJournal, config.UseGateway, config.UseErp},
		"webhook": {config.UseJournal, config.UseAPI},
	} {
		t.Run(name, func(t *testing.T) {
			values := resolved(t, c.Services[name], first)
			settings, err := config.Load(config.Map(values))
			require.NoError(t, err)
			require.NoError(t, settings.Check(uses...))
			require.Equal(t, "postgres://tenderline:"+first["POSTGRES_TENDERLINE_PASSWORD"]+"@postgres:5432/tenderline?sslmode=disable", settings.Database.DSN.Reveal())
			require.Equal(t, "temporal:7233", values["TEMPORAL_ADDRESS"])
		})
	}
	worker, webhook := resolved(t, c.Services["worker"], first), resolved(t, c.Services["webhook"], first)
	require.Equal(t, worker["TENDERLINE_CYBERSOURCE_TRANSACTION_ID_GUARD"], webhook["TENDERLINE_CYBERSOURCE_TRANSACTION_ID_GUARD"],
		"the API plans what the worker does")
	require.Equal(t, "true", worker["TENDERLINE_CALLBACK_ALLOW_PRIVATE"], "the shop's sandbox has a private address")
	for _, erp := range config.KnownERPs() {
		values := resolved(t, c.Services["worker"], first)
		values["TENDERLINE_ERP"] = erp
		settings, err := config.Load(config.Map(values))
		require.NoError(t, err, erp)
		require.NoError(t, settings.Check(config.UseErp), "every ERP has its sandbox here")
	}
}

func TestSandboxesHaveTheCredentialsOfTheWorker(t *testing.T) {
	c := stack(t)
	env := newEnvironment(t)
	worker, sandboxes := resolved(t, c.Services["worker"], env), resolved(t, c.Services["sandboxes"], env)
	for ours, theirs := range map[string]string{
		"TENDERLINE_CYBERSOURCE_MERCHANT_ID":   "SANDBOX_MERCHANT_ID",
		"TENDERLINE_CYBERSOURCE_KEY_ID":        "SANDBOX_KEY_ID",
		"TENDERLINE_CYBERSOURCE_SHARED_SECRET": "SANDBOX_KEY_SECRET",
		"TENDERLINE_SYSPRO_CLIENT_ID":          "SANDBOX_CLIENT_ID",
		"TENDERLINE_SYSPRO_CLIENT_SECRET":      "SANDBOX_CLIENT_SECRET",
		"TENDERLINE_CALLBACK_SECRET":           "SANDBOX_SHOP_SECRET",
		"TENDERLINE_SAGEPRO_DSN":               "SANDBOX_SAGEPRO_DSN",
		"TENDERLINE_SAGEPRO_DIALECT":           "SANDBOX_SAGEPRO_DIALECT",
	} {
		require.Equal(t, worker[ours], sandboxes[theirs], theirs)
	}
	program, err := os.ReadFile("../sandbox/main.go")
	require.NoError(t, err)
	for variable := range c.Services["sandboxes"].Environment {
		require.Contains(t, string(program), `"`+variable+`"`, "the sandboxes read no such variable")
	}
}

func TestDatabaseRoles(t *testing.T) {
	text, err := os.ReadFile("postgres/10-roles.sql")
	require.NoError(t, err)
	postgres := stack(t).Services["postgres"].Environment
	given := regexp.MustCompile(`(?m)^\\getenv (\w+) (\w+)$`).FindAllStringSubmatch(string(text), -1)
	require.Len(t, given, 2)
	for _, g := range given {
		require.Contains(t, postgres, g[2])
		require.Contains(t, string(text), "PASSWORD :'"+g[1]+"'")
	}
	require.Equal(t, strings.Count(string(text), "PASSWORD :'"), strings.Count(string(text), "CREATE ROLE"), "a role without a password from outside")
	require.NotRegexp(t, `(?i)\b(SUPERUSER|CREATEDB|CREATEROLE|REPLICATION|BYPASSRLS)\b`, string(text))
}

var (
	copied = regexp.MustCompile(`(?m)^COPY ((?:--\S+ )*)(.+) \S+$`)
	base   = regexp.MustCompile(`(?m)^FROM (\S+)`)
	user   = regexp.MustCompile(`(?m)^USER ([1-9]\d*):([1-9]\d*)$`)
	built  = regexp.MustCompile(`go build .* -o /out/bin/ (.+)$`)
)

func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile("Dockerfile")
	require.NoError(t, err)
	for _, from := range base.FindAllStringSubmatch(string(text), -1) {
		if from[1] != "scratch" {
			require.Regexp(t, pinned, from[1])
		}
	}
	require.Regexp(t, user, string(text), "a numeric user that is not root")
	require.Contains(t, string(text), "CGO_ENABLED=0 go build -trimpath")
	require.Contains(t, string(text), "ca-certificates.crt")
	require.Contains(t, string(text), "timetzdata")

	fromContext := 0
	for _, line := range copied.FindAllStringSubmatch(string(text), -1) {
		if strings.Contains(line[1], "--from=") {
			continue
		}
		for source := range strings.FieldsSeq(line[2]) {
			fromContext++
			_, err := os.Stat(filepath.Join("..", source))
			require.NoError(t, err, source)
		}
	}
	require.NotZero(t, fromContext)

	var packages string
	for line := range strings.Lines(string(text)) {
		if m := built.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			packages = m[1]
		}
	}
	require.Equal(t, ". ./sandbox ./deploy/probe", packages)
	requireInContext(t, strings.Fields(packages))
}

// requireInContext checks that .dockerignore lets every file pass that the programs are made of.
func requireInContext(t *testing.T, packages []string) {
	t.Helper()
	text, err := os.ReadFile("../.dockerignore")
	require.NoError(t, err)
	var allowed []string
	for line := range strings.Lines(string(text)) {
		if path, found := strings.CutPrefix(strings.TrimSpace(line), "!"); found {
			allowed = append(allowed, path)
		}
	}
	const format = `{{if and (not .Standard) .Module.Main}}{{$dir := .Dir}}{{range .GoFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}{{range .EmbedFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}{{end}}`
	list := exec.Command("go", append([]string{"list", "-deps", "-f", format}, packages...)...)
	list.Dir = ".."
	out, err := list.Output()
	require.NoError(t, err)
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	files := strings.Fields(string(out))
	require.Greater(t, len(files), 50)
	for _, file := range files {
		path, err := filepath.Rel(root, file)
		require.NoError(t, err)
		require.True(t, slices.ContainsFunc(allowed, func(pattern string) bool {
			match, err := filepath.Match(pattern, path)
			return err == nil && match || strings.HasPrefix(path, pattern+"/")
		}), ".dockerignore keeps %s out of the build", path)
		require.NotContains(t, path, "testdata/", "kept out by .dockerignore")
	}
}

func TestProbesAskWhereTheProcessesListen(t *testing.T) {
	c := stack(t)
	for name, variable := range map[string]string{"worker": "TENDERLINE_METRICS_ADDRESS", "webhook": "TENDERLINE_METRICS_ADDRESS"} {
		s := c.Services[name]
		require.Equal(t, []string{"CMD", "probe", "http://127.0.0.1" + s.Environment[variable] + "/readyz"}, s.Healthcheck.Test, name)
	}
	require.NotEqual(t, c.Services["worker"].Environment["TENDERLINE_METRICS_ADDRESS"], c.Services["webhook"].Environment["TENDERLINE_METRICS_ADDRESS"])
}

func TestDashboardIsSmallAndProvisioned(t *testing.T) {
	text, err := os.ReadFile("grafana/dashboards/tenderline.json")
	require.NoError(t, err)
	require.Less(t, bytes.Count(text, []byte("\n")), 300)
	require.True(t, json.Valid(text))
	var sources struct {
		APIVersion  int `yaml:"apiVersion"`
		Datasources []struct {
			Name      string `yaml:"name"`
			UID       string `yaml:"uid"`
			Type      string `yaml:"type"`
			Access    string `yaml:"access"`
			URL       string `yaml:"url"`
			IsDefault bool   `yaml:"isDefault"`
			Editable  bool   `yaml:"editable"`
		} `yaml:"datasources"`
	}
	strictly(t, "grafana/provisioning/datasources/prometheus.yml", &sources)
	require.Len(t, sources.Datasources, 1)
	for _, panel := range panels(t) {
		require.Equal(t, sources.Datasources[0].UID, panel.Datasource.UID, panel.Title)
	}
}
