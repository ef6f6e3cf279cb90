# What infra/main.bicep does, as `az` commands, a step a target: `make azure SUFFIX=…` runs them all, `make -n azure SUFFIX=…` only
# prints them, `make azure-job SUFFIX=…` runs one. The same variables mean the same as the parameters of main.bicep.
#
# Whoever runs them needs Owner on the subscription, or Contributor and User Access Administrator: steps that end in -roles hand out
# rights. `az login` comes first.
#
# Variables are set on the command line. The environment sets none of them: a JOB or a GROUP that is there by chance would change what
# is deployed.

# What everything is named after: small letters, digits and single hyphens, first a letter and last no hyphen.
JOB            = longshore
LOCATION       = westeurope
# Registries and storage accounts have names that are unique in all of Azure: letters and digits of your own choice.
SUFFIX         =
GROUP          = rg-$(JOB)
# By its id; empty: the one that `az account show` shows.
SUBSCRIPTION   =
REGISTRY       = $(subst -,,$(JOB))$(SUFFIX)
ACCOUNT        = $(subst -,,$(JOB))$(SUFFIX)
# storage, or servicebus: a Service Bus namespace in place of the storage account.
QUEUE_SERVICE  = storage
NAMESPACE      = $(JOB)-$(SUFFIX)
QUEUE_NAME     = orders
# renew, or fixed: the stricter mode, with Message Processor instead of the custom role.
LEASE          = renew
IMAGE_TAG      = $(or $(shell git rev-parse --short=12 HEAD 2>/dev/null),latest)
IMAGE          = $(REGISTRY).azurecr.io/longshore:$(IMAGE_TAG)
# Who may send and redrive messages and start executions; by default the user who is logged in. A service principal has to say who it is:
# OPERATOR="$(az ad sp show --id APPLICATION-ID --query id --output tsv)" OPERATOR_TYPE=ServicePrincipal
OPERATOR       = $$(az ad signed-in-user show --query id --output tsv)
OPERATOR_TYPE  = User
# Standard_LRS where a region has no zones.
STORAGE_SKU    = Standard_ZRS

# Who gets a mail when executions fail; empty: nobody.
ALERT_EMAIL    =

CPU            = 0.5
# Messages that one execution handles at once, if as many handlers fit into its memory, and what one of them may have of it.
CONCURRENCY    = 16
HANDLER_MIB    = 128
# What a handler takes for an ordinary message, and for how many seconds of work one execution is started.
HANDLING_MS    = 500
BUSY_S         = 30
DEADLINE_S     = 30
TIME_BUDGET_S  = 1200
GRACE_S        = 20
MAX_DEQUEUE    = 5
# What one execution receives at most; 0: no limit.
MAX_MESSAGES   = 0
MAX_EXECUTIONS = 10
POLLING_S      = 30

# As in host/worker/src/platform.rs, which a test compares: what a start takes, what a stop takes beside the grace, and
# what a fixed lease has beside the deadline.
START_S       := 120
STOP_S        := 10
FIXED_ROOM_S  := 30

# As in host/longshore/src/memory.rs, which a test compares: what the host takes, and a handler beside its memory.
HOST_MIB      := 112
BESIDE_MIB    := 4

# As in modules/job.bicep: 2 GiB for each core; a start, the run, and what SIGTERM leaves it.
MEMORY          = $(shell echo $(CPU) | awk '{ print 2 * $$1 "Gi" }')
REPLICA_TIMEOUT = $(shell echo $$(($(START_S) + $(TIME_BUDGET_S) + $(GRACE_S) + $(STOP_S))))
LINGER_S        = $(if $(filter fixed,$(LEASE)),$(shell echo $$(($(DEADLINE_S) + $(FIXED_ROOM_S)))),30)
FITTING         = $(shell echo $(CPU) | awk '{ fit = int((2048 * $$1 - $(HOST_MIB)) / ($(HANDLER_MIB) + $(BESIDE_MIB))); print (fit > 1 ? fit : 1) }')
ADMITTED        = $(shell echo $$(($(CONCURRENCY) < $(FITTING) ? $(CONCURRENCY) : $(FITTING))))
BUSY_AT_MOST    = $(shell echo $$(($(TIME_BUDGET_S) - $(DEADLINE_S) < $(BUSY_S) ? $(TIME_BUDGET_S) - $(DEADLINE_S) : $(BUSY_S))))
TAKEN           = $(shell echo $$(($(ADMITTED) * $(BUSY_AT_MOST) * 1000 / $(HANDLING_MS))))
TAKEN_AT_MOST   = $(shell echo $$(($(MAX_MESSAGES) > 0 && $(MAX_MESSAGES) < $(TAKEN) ? $(MAX_MESSAGES) : $(TAKEN))))
QUEUE_LENGTH    = $(shell echo $$(($(TAKEN_AT_MOST) > 1 ? $(TAKEN_AT_MOST) : 1)))

ACR_PULL        := 7f951dda-4ed3-4680-a7ca-43fe172d538d
QUEUE_PROCESSOR := 8a0f0c08-91a1-4084-bc3d-661d67233fed
QUEUE_SENDER    := c6a89b2d-59bc-44d0-9896-0f6e12d7b80a
QUEUE_READER    := 19e7f393-937e-4f77-808e-94535e297925
BUS_RECEIVER    := 4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0
BUS_SENDER      := 69a216fc-b8fb-44d8-bc22-1f3c2cd27a39
JOBS_OPERATOR   := b9a307c4-5aa3-4b52-ba60-2b17c136cd7b
# By which KEDA counts on Service Bus: unverified, see modules/servicebus.bicep.
SCALER_ROLE      = $(BUS_RECEIVER)

# Where a command works that does not name it in an id.
ON = $(addprefix --subscription ,$(SUBSCRIPTION))
IN = --resource-group $(GROUP) $(ON)

# Looked up when a command runs, so that each step can be run by itself.
GROUP_ID     = $$(az group show --name $(GROUP) $(ON) --query id --output tsv)
IDENTITY     = $$(az identity show $(IN) --name $(JOB)-id --query $(1) --output tsv)
PROVIDERS    = $(GROUP_ID)/providers
QUEUES_ID    = $(PROVIDERS)/Microsoft.Storage/storageAccounts/$(ACCOUNT)/queueServices/default/queues
WORKER       = --assignee-object-id "$(call IDENTITY,principalId)" --assignee-principal-type ServicePrincipal
PERSON       = --assignee-object-id "$(OPERATOR)" --assignee-principal-type $(OPERATOR_TYPE)
WORKSPACE_ID = $(PROVIDERS)/Microsoft.OperationalInsights/workspaces/$(JOB)-logs
BUS_QUEUE_ID = $(PROVIDERS)/Microsoft.ServiceBus/namespaces/$(NAMESPACE)/queues/$(QUEUE_NAME)
MESSAGES_OF  := Microsoft.Storage/storageAccounts/queueServices/queues/messages
# Role names are unique in a tenant; so begins that of the template as well.
WORKER_ROLE  := Longshore queue worker
RENEW_ROLE   = $(WORKER_ROLE) $(ACCOUNT)

ifeq ($(QUEUE_SERVICE),servicebus)
QUEUE_STEPS := azure-servicebus azure-servicebus-roles
QUEUE_AT     = sb://$(NAMESPACE).servicebus.windows.net/$(QUEUE_NAME)
SCALE_RULE   = --scale-rule-type azure-servicebus \
	--scale-rule-metadata namespace=$(NAMESPACE) queueName=$(QUEUE_NAME) messageCount=$(QUEUE_LENGTH)
else
QUEUE_STEPS := azure-storage azure-queues azure-worker-roles azure-operator-roles
QUEUE_AT     = https://$(ACCOUNT).queue.core.windows.net/$(QUEUE_NAME)
SCALE_RULE   = --scale-rule-type azure-queue \
	--scale-rule-metadata accountName=$(ACCOUNT) queueName=$(QUEUE_NAME) queueLength=$(QUEUE_LENGTH)
endif

JOB_OF = $(IN) --environment $(JOB)-env --workload-profile-name Consumption \
	--container-name longshore --image $(IMAGE) --registry-server $(REGISTRY).azurecr.io \
	--registry-identity "$(call IDENTITY,id)" --mi-user-assigned "$(call IDENTITY,id)" \
	--cpu $(CPU) --memory $(MEMORY) --parallelism 1 --replica-completion-count 1 \
	--replica-timeout $(REPLICA_TIMEOUT) --replica-retry-limit 0 \
	--env-vars AZURE_CLIENT_ID="$(call IDENTITY,clientId)" \
		LONGSHORE_QUEUE=$(QUEUE_AT) \
		LONGSHORE_CONCURRENCY=$(ADMITTED) LONGSHORE_MEMORY=$(HANDLER_MIB) LONGSHORE_DEADLINE=$(DEADLINE_S)s LONGSHORE_TIME_BUDGET=$(TIME_BUDGET_S)s \
		LONGSHORE_GRACE=$(GRACE_S)s LONGSHORE_MAX_DEQUEUE=$(MAX_DEQUEUE) LONGSHORE_LEASE=$(LEASE) \
		LONGSHORE_LINGER=$(LINGER_S)s $(if $(filter-out 0,$(MAX_MESSAGES)),LONGSHORE_MAX_MESSAGES=$(MAX_MESSAGES)) \
		LONGSHORE_LOG_FORMAT=json LONGSHORE_OUTPUT=json

ALERT_OF = $(IN) --scopes "$(WORKSPACE_ID)" --skip-query-validation true --auto-mitigate true \
	$(if $(ALERT_EMAIL),--action-groups "$(PROVIDERS)/Microsoft.Insights/actionGroups/$(JOB)-people") --condition-query \
	failed="ContainerAppSystemLogs | where JobName == '$(JOB)' | where Reason in ('BackoffLimitExceeded', 'DeadlineExceeded')"

AZURE_STEPS := azure-extensions azure-group azure-identity azure-registry azure-registry-roles $(QUEUE_STEPS) \
	azure-logs azure-environment azure-diagnostics azure-image azure-job azure-job-manual azure-job-roles \
	azure-alert azure-workbook

.PHONY: azure azure-named azure-storage azure-queues azure-worker-roles azure-operator-roles azure-servicebus azure-servicebus-roles \
	azure-image-use azure-image-name azure-role-remove azure-remove deploy $(AZURE_STEPS)

##@ Azure
deploy: ## make everything on Azure with azd: `az login` and `azd auth login` first
	azd up --cwd infra

azure: $(AZURE_STEPS) ## the same with az, step by step: make -n azure SUFFIX=x7 prints the commands

# What Azure would say late, and in other words.
azure-named:
	@test -n "$(SUFFIX)" || { echo "make: SUFFIX is not set; choose a few letters and digits, as in SUFFIX=x7" >&2; exit 2; }
	@echo "$(JOB)" | grep -Eqx '[a-z]([a-z0-9]|-[a-z0-9])*' \
		|| { echo "make: JOB is small letters, digits and single hyphens, first a letter, not $(JOB)" >&2; exit 2; }
	@echo "$(ACCOUNT)" | grep -Eqx '[a-z0-9]{3,24}' \
		|| { echo "make: ACCOUNT, made of JOB and SUFFIX, is 3 to 24 small letters and digits, not $(ACCOUNT)" >&2; exit 2; }
	@test -n "$(filter storage servicebus,$(QUEUE_SERVICE))" \
		|| { echo "make: QUEUE_SERVICE is storage or servicebus, not $(QUEUE_SERVICE)" >&2; exit 2; }
	@test -n "$(filter renew fixed,$(LEASE))" || { echo "make: LEASE is renew or fixed, not $(LEASE)" >&2; exit 2; }

# The steps are in order also for `make -j`: each needs what the one before it has made. Other targets may run beside each other.
ifneq ($(filter azure%,$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif

# What the rest needs of `az`: the identity of a scale rule is in the preview of its extension for Container Apps, log alerts are in an
# extension of their own.
azure-extensions:
	az extension add --name containerapp --upgrade --allow-preview true
	az extension add --name scheduled-query --upgrade

azure-group: azure-named
	az group create --name $(GROUP) $(ON) --location $(LOCATION)

azure-identity:
	az identity create $(IN) --name $(JOB)-id

azure-registry: azure-named
	az acr create $(IN) --name $(REGISTRY) --sku Basic --admin-enabled false

azure-registry-roles: azure-named
	az role assignment create $(WORKER) --role $(ACR_PULL) \
		--scope "$(PROVIDERS)/Microsoft.ContainerRegistry/registries/$(REGISTRY)"

# The template also makes the portal sign in as its user; `az` has no flag for that, and with shared keys off it is the only way in.
azure-storage: azure-named
	az storage account create $(IN) --name $(ACCOUNT) --kind StorageV2 --sku $(STORAGE_SKU) \
		--allow-shared-key-access false --allow-blob-public-access false --min-tls-version TLS1_2 --https-only true

# Over the control plane: making them is the owner's right, and no role on messages is needed for it.
azure-queues: azure-named
	az rest --method put --url "$(QUEUES_ID)/$(QUEUE_NAME)?api-version=2023-05-01" --body '{}'
	az rest --method put --url "$(QUEUES_ID)/$(QUEUE_NAME)-poison?api-version=2023-05-01" --body '{}'

# What handles messages, what KEDA counts by, and where poison copies go. Renewing a lease is Update Message, which Message Processor
# may not do. `az` would make a second role of the same name, which is refused.
azure-worker-roles: azure-named $(if $(filter fixed,$(LEASE)),azure-role-remove)
ifeq ($(LEASE),renew)
	az role definition list $(IN) --name "$(RENEW_ROLE)" --query '[].id' --output tsv | grep -q . \
		|| az role definition create $(ON) --role-definition "{\"Name\": \"$(RENEW_ROLE)\", \
		\"Description\": \"Receive, renew, release and delete messages of one queue\", \"AssignableScopes\": [\"$(GROUP_ID)\"], \
		\"Actions\": [], \"DataActions\": [\"$(MESSAGES_OF)/read\", \"$(MESSAGES_OF)/process/action\", \"$(MESSAGES_OF)/write\"]}"
	az role assignment create $(WORKER) --role "$(RENEW_ROLE)" --scope "$(QUEUES_ID)/$(QUEUE_NAME)"
else
	az role assignment create $(WORKER) --role $(QUEUE_PROCESSOR) --scope "$(QUEUES_ID)/$(QUEUE_NAME)"
endif
	az role assignment create $(WORKER) --role $(QUEUE_READER) --scope "$(QUEUES_ID)/$(QUEUE_NAME)"
	az role assignment create $(WORKER) --role $(QUEUE_SENDER) --scope "$(QUEUES_ID)/$(QUEUE_NAME)-poison"

# Neither a deployment nor the end of a group takes away what an earlier one has given: the worker would keep its right to renew, and
# the tenant the role. A role goes when nobody has it any more.
azure-role-remove: ## take the right to renew leases from the job, and the role with it: make azure-role-remove JOB=…
	for role in $$(az role definition list $(IN) --custom-role-only true --query "[?starts_with(roleName, '$(WORKER_ROLE)')].name" --output tsv); do \
		az role assignment list $(ON) --all --assignee "$(call IDENTITY,principalId)" --query "[?ends_with(roleDefinitionId, '$$role')].id" \
			--output tsv | xargs -r az role assignment delete $(ON) --ids; \
		az role definition delete $(IN) --name $$role || exit; \
	done

# Shared keys are off, so that owning the account is not enough to send a message.
azure-operator-roles: azure-named
	az role assignment create $(PERSON) --role $(QUEUE_SENDER) --scope "$(QUEUES_ID)/$(QUEUE_NAME)"
	az role assignment create $(PERSON) --role $(QUEUE_READER) --scope "$(QUEUES_ID)/$(QUEUE_NAME)"
	az role assignment create $(PERSON) --role $(QUEUE_READER) --scope "$(QUEUES_ID)/$(QUEUE_NAME)-poison"
	az role assignment create $(PERSON) --role $(QUEUE_PROCESSOR) --scope "$(QUEUES_ID)/$(QUEUE_NAME)-poison"

# The host dead-letters before the queue does, and says why.
azure-servicebus: azure-named
	az servicebus namespace create $(IN) --name $(NAMESPACE) --sku Standard --minimum-tls-version 1.2 --disable-local-auth true
	az servicebus queue create $(IN) --namespace-name $(NAMESPACE) --name $(QUEUE_NAME) --lock-duration PT1M \
		--max-delivery-count $(shell echo $$(($(MAX_DEQUEUE) + 5))) --enable-dead-lettering-on-message-expiration true

# The dead-letter queue is part of the queue, and so is the right to receive from it.
azure-servicebus-roles: azure-named
	az role assignment create $(WORKER) --role $(BUS_RECEIVER) --scope "$(BUS_QUEUE_ID)"
ifneq ($(SCALER_ROLE),$(BUS_RECEIVER))
	az role assignment create $(WORKER) --role $(SCALER_ROLE) --scope "$(BUS_QUEUE_ID)"
endif
	az role assignment create $(PERSON) --role $(BUS_SENDER) --scope "$(BUS_QUEUE_ID)"
	az role assignment create $(PERSON) --role $(BUS_RECEIVER) --scope "$(BUS_QUEUE_ID)"

azure-logs:
	az monitor log-analytics workspace create $(IN) --workspace-name $(JOB)-logs --retention-time 30

azure-environment:
	az containerapp env create $(IN) --name $(JOB)-env --location $(LOCATION) --logs-destination azure-monitor

azure-diagnostics:
	az monitor diagnostic-settings create --name logs --workspace "$(WORKSPACE_ID)" \
		--resource "$(PROVIDERS)/Microsoft.App/managedEnvironments/$(JOB)-env" \
		--logs '[{"category": "ContainerAppConsoleLogs", "enabled": true}, {"category": "ContainerAppSystemLogs", "enabled": true}]'

# In the registry, so that no Docker is needed here. A first build compiles Wasmtime, on two cores.
azure-image:
	az acr build $(ON) --registry $(REGISTRY) --image longshore:$(IMAGE_TAG) --target release --timeout 3600 .

azure-job: azure-named
	az containerapp job create --name $(JOB) --trigger-type Event \
		--min-executions 0 --max-executions $(MAX_EXECUTIONS) --polling-interval $(POLLING_S) \
		--scale-rule-name queue --scale-rule-identity "$(call IDENTITY,id)" $(SCALE_RULE) \
		$(JOB_OF)

azure-job-manual: azure-named
	az containerapp job create --name $(JOB)-manual --trigger-type Manual $(JOB_OF)

azure-job-roles:
	az role assignment create $(PERSON) --role $(JOBS_OPERATOR) --scope "$(PROVIDERS)/Microsoft.App/jobs/$(JOB)"
	az role assignment create $(PERSON) --role $(JOBS_OPERATOR) --scope "$(PROVIDERS)/Microsoft.App/jobs/$(JOB)-manual"

# The first sees what fails at once, the second what takes long to fail.
azure-alert:
ifneq ($(ALERT_EMAIL),)
	az monitor action-group create $(IN) --name $(JOB)-people --short-name longshore \
		--action email people $(ALERT_EMAIL) usecommonalertschema
endif
	az monitor scheduled-query create --name $(JOB)-failures --severity 1 --description "Three executions failed within ten minutes" \
		--evaluation-frequency 5m --window-size 10m --condition "count 'failed' >= 3" $(ALERT_OF)
	az monitor scheduled-query create --name $(JOB)-failed --severity 3 --description "An execution failed within half an hour" \
		--evaluation-frequency 15m --window-size 30m --condition "count 'failed' >= 1" $(ALERT_OF)

# A workbook is a page of JSON in a string: the module puts it there.
azure-workbook:
	az deployment group create $(IN) --name workbook --template-file infra/modules/workbook.bicep \
		--parameters jobName=$(JOB) workspaceId="$(WORKSPACE_ID)" location=$(LOCATION) tags='{}'

azure-image-use: ## point the jobs at IMAGE, once `make azure-image` has built it
	az containerapp job update $(IN) --name $(JOB) --image $(IMAGE)
	az containerapp job update $(IN) --name $(JOB)-manual --image $(IMAGE)

azure-image-name:
	@echo $(IMAGE)

azure-remove: azure-role-remove ## delete the resource group, with every message in it
	az group delete --name $(GROUP) $(ON)
