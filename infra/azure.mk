# Deploys the templates with `az`; they alone say what is made. `make -n azure` prints the commands. `az login` comes first.
#
# Whoever deploys needs Owner, or Contributor and User Access Administrator: the templates make a role and assign roles.
#
# Variables are set on the command line. The environment sets none of them: a NAME that is there by chance would change what is
# deployed.

# What everything is named after, in small letters, digits and single hyphens.
NAME                 = longshore
# Where it is; empty: where the group is, and westeurope where there is none yet.
LOCATION             =
# By its id; empty: the one that `az account show` shows.
SUBSCRIPTION         =
# A group that you have been given; empty: rg-NAME, which the template makes.
AZURE_RESOURCE_GROUP =
# What every job is told: JOB='{"lease": "fixed", "cpu": "1.0"}'.
JOB                  =
# More parameters of the template, and files of them: PARAMETERS='@mine.json queueService=servicebus'. The last one holds.
PARAMETERS           =
# An image that is there already; empty: this tree is built in the registry.
IMAGE                =
# Who may send and redrive messages and start executions. A service principal has to say who it is:
# OPERATOR="$(az ad sp show --id APPLICATION-ID --query id --output tsv)" PARAMETERS=operatorPrincipalType=ServicePrincipal
OPERATOR             = $$(az ad signed-in-user show --query id --output tsv)
# Where images are built: the registry from which the job pulls.
REGISTRY             = $$($(call OF_JOBS,.properties.configuration.registries[0].server | [0]) | cut -d . -f 1)
IMAGE_TAG            = $(or $(shell git rev-parse --short=12 HEAD 2>/dev/null),latest)

GROUP_TEMPLATE        := infra/main.bicep
SUBSCRIPTION_TEMPLATE := infra/subscription.bicep

GROUP    = $(or $(AZURE_RESOURCE_GROUP),rg-$(NAME))
ON       = $(addprefix --subscription ,$(SUBSCRIPTION))
IN       = --resource-group $(GROUP) $(ON)
BUILT    = $(REGISTRY).azurecr.io/longshore:$(IMAGE_TAG)
REGION   = $(or $(LOCATION),$(if $(AZURE_RESOURCE_GROUP),,westeurope))
WHERE    = $(if $(AZURE_RESOURCE_GROUP),$(IN) --template-file $(GROUP_TEMPLATE),$(ON) --location $(REGION) --template-file $(SUBSCRIPTION_TEMPLATE))
# A deployment that names no image would go back to the one that does nothing.
RUNNING  = $$($(call OF_JOBS,.properties.template.containers[0].image | [0]) 2> /dev/null)
# Each job may have a name behind that of the deployment. In a group that was given there may be other people's.
OURS     = (name == '$(NAME)' || starts_with(name, '$(NAME)-')) && properties.template.containers[0].env[?name == 'LONGSHORE_QUEUE']
# $(1): what of them.
OF_JOBS  = az containerapp job list $(IN) --output tsv --query "[?$(OURS)]$(1)"

# $(1): create, or what-if.
define DEPLOYMENT
operator="$(OPERATOR)" || exit; image="$(or $(IMAGE),$(RUNNING))"; az deployment $(if $(AZURE_RESOURCE_GROUP),group,sub) $(1) --name $(NAME) $(WHERE) \
	--parameters name=$(NAME) $(addprefix location=,$(REGION)) operatorPrincipalId="$$operator" $${image:+image="$$image"} $(if $(JOB),job='$(JOB)') $(PARAMETERS)
endef

.PHONY: deploy azure azure-what-if azure-template azure-image azure-image-use azure-image-name azure-role-remove azure-remove azure-not-ours

# Each step needs what the one before it has made, also under `make -j`. Other targets may run beside each other.
ifneq ($(filter azure%,$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif

##@ Azure
deploy: ## make everything on Azure with azd: `az login` and `azd auth login` first
	azd up --cwd infra

azure: azure-template $(if $(IMAGE),,azure-image azure-image-use) ## the same with az: make azure NAME=orders AZURE_RESOURCE_GROUP=rg-given

azure-what-if: ## show what `make azure` would change
	$(call DEPLOYMENT,what-if)

azure-template:
	$(call DEPLOYMENT,create)

# In the registry, so that no Docker is needed here. A first build compiles Wasmtime, on two cores.
azure-image: ## build the image of this tree in the registry
	az acr build $(ON) --registry $(REGISTRY) --image longshore:$(IMAGE_TAG) --target release --timeout 3600 .

azure-image-use: ## point the jobs at that image
	for job in $$($(call OF_JOBS,.name)); do \
		az containerapp job update $(IN) --name $$job --image $(BUILT) || exit; \
	done

azure-image-name:
	@echo $(BUILT)

# Neither a deployment nor the end of a group takes away what an earlier one has given: a worker that renewed would keep its right,
# and the tenant the role.
azure-role-remove: ## take the right to renew leases away, and the role with it
	for role in $$(az role definition list $(IN) --custom-role-only true --query "[?starts_with(roleName, 'Longshore queue worker $(NAME) ')].name" --output tsv); do \
		az role assignment list $(ON) --all --query "[?ends_with(roleDefinitionId, '$$role')].id" --output tsv \
			| xargs -r az role assignment delete $(ON) --ids; \
		az role definition delete $(IN) --custom-role-only true --name $$role || exit; \
	done

azure-remove: $(if $(AZURE_RESOURCE_GROUP),azure-not-ours,azure-role-remove) ## delete the resource group, with every message in it
	az group delete --name $(GROUP) $(ON)

azure-not-ours:
	@echo 'make: $(AZURE_RESOURCE_GROUP) was given to you and may hold more; delete in it what is called $(NAME)' >&2; exit 2
