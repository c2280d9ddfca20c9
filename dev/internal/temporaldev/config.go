package temporaldev

import (
	"time"

	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
)

// newTemporal builds the four services in one server that find each other at fixed loopback ports, without gossip.
func newTemporal(layout addresses, store *store, logger *serverLogger) (temporal.Server, error) {
	hosts := map[primitives.ServiceName]static.Hosts{
		primitives.FrontendService: static.SingleLocalHost(layout.frontend.String()),
		primitives.HistoryService:  static.SingleLocalHost(layout.internal(layout.history)),
		primitives.MatchingService: static.SingleLocalHost(layout.internal(layout.matching)),
		primitives.WorkerService:   static.SingleLocalHost(layout.internal(layout.worker)),
	}
	return temporal.NewServer(
		temporal.WithConfig(serverConfig(layout, store)),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(hosts),
		temporal.WithLogger(logger),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return authorization.NewNoopClaimMapper() }),
		temporal.WithDynamicConfigClient(dynamicSettings()),
	)
}

func serverConfig(layout addresses, store *store) *config.Config {
	const database, disabled = "sqlite", "disabled"
	ip, frontend := layout.frontend.IP.String(), layout.frontend.String()
	service := func(port int) config.Service {
		return config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: ip}}
	}
	return &config.Config{
		Global: config.Global{
			Membership: config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: ip},
		},
		Persistence: config.Persistence{
			DefaultStore:     database,
			VisibilityStore:  database,
			NumHistoryShards: 1,
			DataStores:       map[string]config.DataStore{database: {SQL: store.sql}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{clusterName: {
				Enabled: true, InitialFailoverVersion: 1, ClusterID: clusterID,
				RPCAddress: frontend, HTTPAddress: layout.internal(layout.http),
			}},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services: map[string]config.Service{
			string(primitives.FrontendService): {RPC: config.RPC{GRPCPort: layout.frontend.Port, HTTPPort: layout.http, BindOnIP: ip}},
			string(primitives.HistoryService):  service(layout.history),
			string(primitives.MatchingService): service(layout.matching),
			string(primitives.WorkerService):   service(layout.worker),
		},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: disabled},
			Visibility: config.VisibilityArchival{State: disabled},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: disabled},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: disabled},
		}},
		PublicClient: config.PublicClient{HostPort: frontend},
	}
}

// dynamicSettings are a cluster's defaults, with these differences that suit one process.
func dynamicSettings() dynamicconfig.Client {
	return dynamicconfig.StaticClient{
		// What is registered is usable at once, instead of after the next refresh of a cache.
		dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key(): true,
		dynamicconfig.ForceNexusEndpointRefreshOnRead.Key():         true,

		// Said outright though they are this version's defaults: the product relies on them.
		dynamicconfig.EnableEagerWorkflowStart.Key():                           true,
		dynamicconfig.EnableActivityEagerExecution.Key():                       true,
		dynamicconfig.FrontendEnableUpdateWorkflowExecution.Key():              true,
		dynamicconfig.FrontendEnableUpdateWorkflowExecutionAsyncAccepted.Key(): true,

		// One process has no use for four partitions of a task queue: each task would be forwarded between them.
		dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():  1,
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key(): 1,

		// Rate limits protect a shared cluster; here they would only bend benchmarks, the UI and polling tests.
		dynamicconfig.FrontendRPS.Key():                                  100_000,
		dynamicconfig.FrontendMaxNamespaceRPSPerInstance.Key():           100_000,
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(): 10_000,
		dynamicconfig.HistoryRPS.Key():                                   100_000,
		dynamicconfig.MatchingRPS.Key():                                  100_000,
		dynamicconfig.FrontendPersistenceMaxQPS.Key():                    100_000,
		dynamicconfig.HistoryPersistenceMaxQPS.Key():                     100_000,
		dynamicconfig.MatchingPersistenceMaxQPS.Key():                    100_000,

		dynamicconfig.HistoryCacheHostLevelMaxSize.Key(): 8192,  // workflows kept in memory; the default is for a big host
		dynamicconfig.EnableServerVersionCheck.Key():     false, // no calls home
	}
}
