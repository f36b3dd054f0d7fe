/* SPDX-License-Identifier: GPL-2.0 */
/* A Vulkan device, and memory of it that is shared as dma-bufs. */
#ifndef GPU_H
#define GPU_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vulkan/vulkan.h>

#define DMABUF VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT

static inline void die(const char *what, int code)
{
	printf("%s: %d\n", what, code);
	exit(1);
}

static inline void check(VkResult result, const char *what)
{
	if (result != VK_SUCCESS)
		die(what, result);
}

/* A device, with one queue and one command buffer. */
struct gpu {
	VkInstance instance;
	VkPhysicalDevice physical;
	VkDevice device;
	VkQueue queue;
	VkCommandPool pool;
	VkCommandBuffer commands;
	PFN_vkGetMemoryFdKHR get_fd;
};

static inline void open_gpu(struct gpu *gpu)
{
	static const char *const extensions[] = { VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME,
				     VK_EXT_EXTERNAL_MEMORY_DMA_BUF_EXTENSION_NAME };
	VkApplicationInfo application = { .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
					  .apiVersion = VK_API_VERSION_1_1 };
	VkInstanceCreateInfo instance = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
					  .pApplicationInfo = &application };
	float priority = 1;
	VkDeviceQueueCreateInfo queue = { .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
					  .queueCount = 1, .pQueuePriorities = &priority };
	VkDeviceCreateInfo device = { .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
				      .queueCreateInfoCount = 1, .pQueueCreateInfos = &queue,
				      .enabledExtensionCount = 2,
				      .ppEnabledExtensionNames = extensions };
	VkCommandPoolCreateInfo pool = { .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO };
	VkCommandBufferAllocateInfo commands = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY, .commandBufferCount = 1 };
	uint32_t count = 1;

	check(vkCreateInstance(&instance, NULL, &gpu->instance), "vkCreateInstance");
	vkEnumeratePhysicalDevices(gpu->instance, &count, &gpu->physical);
	if (!count)
		die("no Vulkan device", 0);
	check(vkCreateDevice(gpu->physical, &device, NULL, &gpu->device),
	      "vkCreateDevice with VK_EXT_external_memory_dma_buf");
	vkGetDeviceQueue(gpu->device, 0, 0, &gpu->queue);
	check(vkCreateCommandPool(gpu->device, &pool, NULL, &gpu->pool), "vkCreateCommandPool");
	commands.commandPool = gpu->pool;
	check(vkAllocateCommandBuffers(gpu->device, &commands, &gpu->commands),
	      "vkAllocateCommandBuffers");
	gpu->get_fd = (PFN_vkGetMemoryFdKHR)vkGetDeviceProcAddr(gpu->device, "vkGetMemoryFdKHR");
}

static inline void close_gpu(struct gpu *gpu)
{
	vkDestroyCommandPool(gpu->device, gpu->pool, NULL);
	vkDestroyDevice(gpu->device, NULL);
	vkDestroyInstance(gpu->instance, NULL);
}

/* Memory with a Vulkan buffer over all of it, mapped. */
struct memory {
	struct gpu *gpu;
	VkDeviceMemory memory;
	VkBuffer buffer;
	VkDeviceSize size;
	unsigned char *bytes;
};

/* Of memory types, one that the processor can access as it is. */
static inline uint32_t host_type(struct gpu *gpu, uint32_t bits)
{
	const VkMemoryPropertyFlags wanted =
		VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
	VkPhysicalDeviceMemoryProperties properties;

	vkGetPhysicalDeviceMemoryProperties(gpu->physical, &properties);
	for (uint32_t i = 0; i < properties.memoryTypeCount; i++)
		if (bits & 1u << i &&
		    (properties.memoryTypes[i].propertyFlags & wanted) == wanted)
			return i;
	die("no memory type that is coherent", bits);
	return 0;
}

static inline void bind(struct memory *mem, bool shared, const void *next)
{
	VkExternalMemoryBufferCreateInfo external = {
		.sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO,
		.handleTypes = DMABUF };
	VkBufferCreateInfo buffer = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .pNext = shared ? &external : NULL,
		.size = mem->size,
		.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT };
	VkMemoryAllocateInfo memory = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
					.pNext = next };
	VkMemoryRequirements needs;
	struct gpu *gpu = mem->gpu;

	check(vkCreateBuffer(gpu->device, &buffer, NULL, &mem->buffer), "vkCreateBuffer");
	vkGetBufferMemoryRequirements(gpu->device, mem->buffer, &needs);
	memory.allocationSize = needs.size;
	memory.memoryTypeIndex = host_type(gpu, needs.memoryTypeBits);
	check(vkAllocateMemory(gpu->device, &memory, NULL, &mem->memory), "vkAllocateMemory");
	check(vkBindBufferMemory(gpu->device, mem->buffer, mem->memory, 0), "vkBindBufferMemory");
	check(vkMapMemory(gpu->device, mem->memory, 0, VK_WHOLE_SIZE, 0, (void **)&mem->bytes),
	      "vkMapMemory");
}

static inline struct memory allocated(struct gpu *gpu, VkDeviceSize size, bool shared)
{
	VkExportMemoryAllocateInfo export = {
		.sType = VK_STRUCTURE_TYPE_EXPORT_MEMORY_ALLOCATE_INFO, .handleTypes = DMABUF };
	struct memory mem = { .gpu = gpu, .size = size };

	bind(&mem, shared, shared ? &export : NULL);
	return mem;
}

/* The device takes the descriptor over. */
static inline struct memory imported(struct gpu *gpu, VkDeviceSize size, int fd)
{
	VkImportMemoryFdInfoKHR import = {
		.sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_FD_INFO_KHR, .handleType = DMABUF,
		.fd = fd };
	struct memory mem = { .gpu = gpu, .size = size };

	bind(&mem, true, &import);
	return mem;
}

static inline int exported(struct memory *mem)
{
	VkMemoryGetFdInfoKHR get = { .sType = VK_STRUCTURE_TYPE_MEMORY_GET_FD_INFO_KHR,
				     .memory = mem->memory, .handleType = DMABUF };
	int fd;

	check(mem->gpu->get_fd(mem->gpu->device, &get, &fd), "vkGetMemoryFdKHR");
	return fd;
}

static inline void drop(struct memory *mem)
{
	vkDestroyBuffer(mem->gpu->device, mem->buffer, NULL);
	vkFreeMemory(mem->gpu->device, mem->memory, NULL);
}

/* The device copies from one to the other. */
static inline void copy(struct gpu *gpu, struct memory *from, struct memory *to)
{
	VkCommandBufferBeginInfo begin = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO };
	VkSubmitInfo submit = { .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1,
				.pCommandBuffers = &gpu->commands };
	VkBufferCopy all = { .size = from->size };

	vkResetCommandPool(gpu->device, gpu->pool, 0);
	check(vkBeginCommandBuffer(gpu->commands, &begin), "vkBeginCommandBuffer");
	vkCmdCopyBuffer(gpu->commands, from->buffer, to->buffer, 1, &all);
	check(vkEndCommandBuffer(gpu->commands), "vkEndCommandBuffer");
	check(vkQueueSubmit(gpu->queue, 1, &submit, VK_NULL_HANDLE), "vkQueueSubmit");
	check(vkQueueWaitIdle(gpu->queue), "vkQueueWaitIdle");
}

#endif
